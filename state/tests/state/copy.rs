//! One replica of the harness: what reaches it, and what is true of what has come out of it.

use super::{Copy, Metric};
use raympp_operators::sharing::SharedPlan;
use raympp_state::delta::Mark;
use raympp_state::replica::Applied;
use raympp_types::{EventTime, SplitTerm};
use std::sync::Arc;

impl Copy {
    /// Applies the next delta of a split.
    pub(super) fn deliver(&mut self, split: usize, plans: &[Arc<SharedPlan>]) {
        let Some(delta) = self.inbox[split].pop_front() else { return };
        for mark in &delta.stamp.marks {
            if let Mark::Barrier { plan, .. } = mark
                && !self.replica.is_fenced(&delta.stamp)
            {
                self.replica.adopt(Arc::clone(&plans[plan.0 as usize - 1]));
            }
        }
        let verdict = self.replica.apply(&delta);
        let again = delta.stamp.split_term > SplitTerm(1) && verdict == Applied::Duplicate;
        assert!(verdict == Applied::Yes || verdict == Applied::Fenced || again, "{verdict:?}: {:?}", delta.stamp);
        self.passed.extend(std::iter::from_fn(|| self.replica.take_passed_barrier()));
        self.late_rows.extend(self.replica.take_late_rows());
        if let Some(lists) = &mut self.lists {
            self.replica.take_accepted().iter().for_each(|accepted| lists.take(&accepted.delta));
            self.saved.extend(std::iter::from_fn(|| lists.take_complete(|| ())));
        }
    }

    /// Windows leave in order of their ends, and nothing follows a window's last piece. Each row has its key and window.
    pub(super) fn check_flags(&self, metrics: &[Metric]) {
        for metric in metrics {
            let mut done = EventTime::MIN;
            let mut last = true;
            for result in self.results.iter().filter(|result| result.metric == metric.id) {
                assert_eq!(result.groups.len(), result.batch.num_rows());
                assert!(result.window_end > done, "{}: a piece of {} after {done} was done", metric.id, result.window_end);
                last = result.last;
                if last {
                    done = result.window_end;
                }
            }
            assert!(last || metric.dropped, "{}: the last window's last piece is flagged", metric.id);
        }
    }
}
