//! What metrics of one stream share: key spaces, stores, slices, accumulators.
//!
//! Metrics with the same GROUP BY keys share a *key space* (keys are interned once). Metrics that also have the same WHERE and the
//! same expressions that can fail share a *store*: they count exactly the same rows, so equal accumulators are the same accumulator
//! and rows are folded once, into slices of the finest width. A coarser window of the same store reads a *tier*, whose wider slices
//! are merged from sealed finer ones, so folding costs the same however many window shapes there are.
//!
//! A store never changes once rows flow: a metric added later shares one that already has all it needs, or brings its own. So the
//! plan in force is a pure function of the sequence of changes.

use crate::accumulator::Accumulator;
use crate::expr::Expr;
use crate::plan::MetricPlan;
use crate::window::Window;
use raympp_types::{DataType, MetricId, PlanVersion};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A finer base width is made for two widths that do not divide each other only if it cuts the finer of them into at most this many.
const SPLIT_MAX: i64 = 8;

/// What stands between the rows and the placement in a store's description.
const PLACED: &str = "; ";

/// Whether a metric may live in a store that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    /// It may not.
    Refused,
    /// If the store need not change.
    AsItIs,
    /// The store may get more slices and accumulators.
    Extended,
}

/// Keys that are interned together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpace {
    /// Over the stream's columns.
    pub keys: Vec<Expr>,
}

impl KeySpace {
    /// Types of the key columns.
    pub fn types(&self) -> Vec<DataType> {
        self.keys.iter().map(Expr::data_type).collect()
    }
}

/// How a store lays out its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// By slices of the first tier's width.
    Sliced,
    /// By session: rows of a key less than `gap_us` apart.
    Sessions {
        /// The gap, or the time to live of a running total.
        gap_us: i64,
    },
    /// One group per key for ever.
    Running,
}

/// Windows of one shape over a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The window.
    pub window: Window,
    /// How long closed windows stay readable.
    pub retention_us: i64,
    /// Which of the store's accumulators its metrics use.
    pub accumulators: BTreeSet<usize>,
}

/// Slices of one width and the shapes assembled from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Width of a slice.
    pub width_us: i64,
    /// Shift of slice boundaries, in `0..width_us`.
    pub offset_us: i64,
    /// Window shapes whose slide (step, size) is this width.
    pub shapes: Vec<Shape>,
}

/// Groups that count the same rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Position of the key space.
    pub key_space: usize,
    /// WHERE.
    pub filter: Option<Expr>,
    /// Layout.
    pub kind: StoreKind,
    /// What is kept per group, besides its number of rows.
    pub accumulators: Vec<Accumulator>,
    /// Finest first; every width is a multiple of the first one's. Empty unless sliced.
    pub tiers: Vec<Tier>,
}

impl Store {
    /// The accumulators whose evaluation can fail, in canonical order: part of what makes stores count the same rows.
    fn fallible(&self) -> Vec<&Accumulator> {
        fallible(&self.accumulators)
    }

    /// What its groups are, as text: keys, rows that count, placement. Groups of stores with equal texts count the same rows in the same slices,
    /// whatever they keep of them. A checkpoint names stores by this, so it changes only if the meaning does.
    pub fn description(&self, keys: &KeySpace) -> String {
        let typed = |expr: &Expr| format!("{expr} {}", expr.data_type());
        let keys: Vec<String> = keys.keys.iter().map(typed).collect();
        let filter = self.filter.as_ref().map_or(String::new(), |filter| format!(" where {filter}"));
        let fallible: Vec<String> = self.fallible().into_iter().map(Accumulator::description).collect();
        let fallible = if fallible.is_empty() { String::new() } else { format!(" if there are {}", fallible.join(", ")) };
        let placed = match (self.kind, self.tiers.first()) {
            (StoreKind::Sliced, Some(base)) => format!("slices of {} us from {}", base.width_us, base.offset_us),
            (StoreKind::Sessions { gap_us }, _) => format!("sessions {gap_us} us apart"),
            (StoreKind::Running | StoreKind::Sliced, _) => "for ever".to_owned(),
        };
        format!("by ({}){filter}{fallible}{PLACED}{placed}", keys.join(", "))
    }

    /// The part of a store's description that says which rows count; what comes behind it says where they are placed.
    pub fn rows_described(description: &str) -> &str {
        description.rsplit_once(PLACED).map_or(description, |(rows, _)| rows)
    }

    /// Width and offset of the slices that a store's description tells of, if its groups are placed by slice.
    pub fn slices_described(description: &str) -> Option<(i64, i64)> {
        let (_, placed) = description.rsplit_once(PLACED)?;
        let (width, offset) = placed.strip_prefix("slices of ")?.split_once(" us from ")?;
        Some((width.parse().ok()?, offset.parse().ok()?))
    }

    /// Width and offset of its finest slices, if its groups are placed by slice.
    pub fn slices(&self) -> Option<(i64, i64)> {
        self.tiers.first().map(|base| (base.width_us, base.offset_us))
    }

    /// What a metric's store says of its rows, and what it keeps at least: both are part of the metric's meaning, however it shares.
    pub fn needed_by(metric: &Arc<MetricPlan>) -> (String, Vec<Accumulator>) {
        let mut plan = SharedPlan::empty();
        plan.place(MetricId(0), metric, |_| Sharing::Refused);
        let store = Arc::clone(plan.stores[0].as_ref().expect("the metric has just been placed"));
        (Store::rows_described(&store.description(&plan.key_spaces[0])).to_owned(), store.accumulators.clone())
    }

    /// Bytes of one group in one slice, its number of rows included: while sums of exact numbers fit 64 bits, and without what heavy cells
    /// point to.
    pub fn bytes_per_group(&self) -> usize {
        8 + self.accumulators.iter().map(Accumulator::bytes_per_cell).sum::<usize>()
    }
}

fn fallible(accumulators: &[Accumulator]) -> Vec<&Accumulator> {
    let can_fail = |accumulator: &&Accumulator| accumulator.inputs().iter().chain(accumulator.filter()).any(Expr::fallible);
    let mut found: Vec<&Accumulator> = accumulators.iter().filter(can_fail).collect();
    found.sort_by_cached_key(ToString::to_string);
    found
}

/// A metric and where its groups are.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedMetric {
    /// Its id.
    pub id: MetricId,
    /// Its definition.
    pub plan: Arc<MetricPlan>,
    /// Position of its store.
    pub store: usize,
    /// Position of its tier in the store (0 unless sliced).
    pub tier: usize,
    /// Position of its shape in the tier (0 unless sliced).
    pub shape: usize,
    /// By aggregate of the plan: positions of its accumulators in the store, as lowered.
    pub accumulators: Vec<Vec<usize>>,
    /// The plan that brought it. After the first plan this means: rows count from the barrier that carries the plan, and windows that
    /// start at or before the highest event time at that barrier are not the metric's.
    pub since: PlanVersion,
}

/// Everything a stream computes, with what is shared.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedPlan {
    /// Counts the changes.
    pub version: PlanVersion,
    /// Key spaces; positions are never used for another.
    pub key_spaces: Vec<KeySpace>,
    /// Stores; `None` where the last metric was dropped.
    pub stores: Vec<Option<Arc<Store>>>,
    /// Metrics in order of creation.
    pub metrics: Vec<Arc<SharedMetric>>,
}

impl SharedPlan {
    /// A stream without metrics.
    pub fn empty() -> SharedPlan {
        SharedPlan { version: PlanVersion(0), key_spaces: Vec::new(), stores: Vec::new(), metrics: Vec::new() }
    }

    /// The plan of the metrics that exist before the first row, with slices as shared as can be.
    pub fn of(version: PlanVersion, metrics: &[(MetricId, Arc<MetricPlan>)]) -> SharedPlan {
        let mut plan = SharedPlan { version, ..SharedPlan::empty() };
        plan.place_all(metrics, |_| Sharing::Extended);
        plan.metrics.sort_by_key(|metric| metric.id);
        plan
    }

    /// The plan of metrics that go on from a checkpoint, each group with those it shared a store with, and of metrics that begin there. Groups
    /// stay apart, for they may have begun at different times. A new metric shares a group's store only if that has all it needs, since the
    /// store's past lacks everything else; new ones share with each other what can be.
    pub fn resumed(version: PlanVersion, groups: &[Vec<(MetricId, Arc<MetricPlan>)>], new: &[(MetricId, Arc<MetricPlan>)]) -> SharedPlan {
        let mut plan = SharedPlan { version, ..SharedPlan::empty() };
        for group in groups {
            let first = plan.stores.len();
            plan.place_all(group, |position| if position < first { Sharing::Refused } else { Sharing::Extended });
        }
        let first = plan.stores.len();
        plan.place_all(new, |position| if position < first { Sharing::AsItIs } else { Sharing::Extended });
        plan.metrics.sort_by_key(|metric| metric.id);
        plan
    }

    /// Places metrics before the first row, finest slices first.
    fn place_all(&mut self, metrics: &[(MetricId, Arc<MetricPlan>)], sharing: impl Fn(usize) -> Sharing) {
        let mut order: Vec<&(MetricId, Arc<MetricPlan>)> = metrics.iter().collect();
        order.sort_by_key(|(_, metric)| metric.window.slice_width_us());
        order.into_iter().for_each(|(id, metric)| self.place(*id, metric, &sharing));
    }

    /// The plan with one metric more, added while rows flow: it shares a store only if that has all it needs.
    pub fn with(&self, id: MetricId, metric: &Arc<MetricPlan>) -> SharedPlan {
        let mut plan = SharedPlan { version: self.version.next(), ..self.clone() };
        plan.place(id, metric, |_| Sharing::AsItIs);
        plan
    }

    /// The plan without a metric.
    pub fn without(&self, id: MetricId) -> SharedPlan {
        let mut plan = SharedPlan { version: self.version.next(), ..self.clone() };
        plan.metrics.retain(|metric| metric.id != id);
        for (i, store) in plan.stores.iter_mut().enumerate() {
            if !plan.metrics.iter().any(|metric| metric.store == i) {
                *store = None;
            }
        }
        plan
    }

    /// The metric of that name.
    pub fn metric(&self, name: &str) -> Option<&Arc<SharedMetric>> {
        self.metrics.iter().find(|metric| metric.plan.name == name)
    }

    /// Stores in use, with their positions.
    pub fn live_stores(&self) -> impl Iterator<Item = (usize, &Arc<Store>)> {
        self.stores.iter().enumerate().filter_map(|(i, store)| Some((i, store.as_ref()?)))
    }

    fn place(&mut self, id: MetricId, metric: &Arc<MetricPlan>, sharing: impl Fn(usize) -> Sharing) {
        let key_space = self.key_space_of(metric);
        let lowered: Vec<Vec<Accumulator>> = metric.aggregates.iter().map(|aggregate| aggregate.lower().accumulators).collect();
        let wanted = self.store_wanted(key_space, metric, lowered.iter().flatten());
        let found = (0..self.stores.len()).find(|&i| self.stores[i].as_ref().is_some_and(|store| fits(store, &wanted, sharing(i))));
        let store = found.unwrap_or_else(|| {
            self.stores.push(Some(Arc::new(wanted.clone())));
            self.stores.len() - 1
        });
        let target = Arc::make_mut(self.stores[store].as_mut().expect("just found"));
        let accumulators = merge_accumulators(target, &lowered);
        merge_shape(target, metric, &accumulators);
        let metric = SharedMetric { id, plan: Arc::clone(metric), store, tier: 0, shape: 0, accumulators, since: self.version };
        self.metrics.push(Arc::new(metric));
        self.find_shapes(store);
    }

    /// Notes tier and shape of each metric of a store, whose tiers may have moved.
    fn find_shapes(&mut self, position: usize) {
        let store = Arc::clone(self.stores[position].as_ref().expect("a store with metrics"));
        for metric in self.metrics.iter_mut().filter(|metric| metric.store == position) {
            let shape_in = |tier: &Tier| tier.shapes.iter().position(|shape| shape.window == metric.plan.window);
            let found = store.tiers.iter().enumerate().find_map(|(tier, layout)| Some((tier, shape_in(layout)?)));
            let (tier, shape) = found.unwrap_or((0, 0));
            let metric = Arc::make_mut(metric);
            (metric.tier, metric.shape) = (tier, shape);
        }
    }

    fn key_space_of(&mut self, metric: &MetricPlan) -> usize {
        let space = KeySpace { keys: metric.keys.iter().map(|key| key.expr.clone()).collect() };
        self.key_spaces.iter().position(|other| *other == space).unwrap_or_else(|| {
            self.key_spaces.push(space);
            self.key_spaces.len() - 1
        })
    }

    fn store_wanted<'a>(&self, key_space: usize, metric: &MetricPlan, lowered: impl Iterator<Item = &'a Accumulator>) -> Store {
        let mut accumulators: Vec<Accumulator> = Vec::new();
        for accumulator in lowered {
            if !accumulators.contains(accumulator) {
                accumulators.push(accumulator.clone());
            }
        }
        let kind = match metric.window {
            Window::Global { ttl_us: None } => StoreKind::Running,
            Window::Session { gap_us } | Window::Global { ttl_us: Some(gap_us) } => StoreKind::Sessions { gap_us },
            _ => StoreKind::Sliced,
        };
        let mut store = Store { key_space, filter: metric.filter.clone(), kind, accumulators, tiers: Vec::new() };
        let all: Vec<Vec<usize>> = vec![(0..store.accumulators.len()).collect()];
        merge_shape(&mut store, metric, &all);
        store
    }
}

/// Whether a metric that wants a store of its own like `wanted` can live in `store`.
fn fits(store: &Store, wanted: &Store, sharing: Sharing) -> bool {
    let same_rows = store.key_space == wanted.key_space
        && store.filter == wanted.filter
        && store.kind == wanted.kind
        && store.fallible() == wanted.fallible();
    if !same_rows {
        return false;
    }
    match sharing {
        Sharing::Refused => false,
        Sharing::AsItIs => has_all_of(store, wanted),
        Sharing::Extended => wanted.tiers.first().is_none_or(|tier| joint_base(store, tier).is_some()),
    }
}

fn has_all_of(store: &Store, wanted: &Store) -> bool {
    if store.kind != StoreKind::Sliced {
        return false;
    }
    let position = |accumulator: &Accumulator| store.accumulators.iter().position(|mine| mine == accumulator);
    let Some(positions) = wanted.accumulators.iter().map(position).collect::<Option<BTreeSet<usize>>>() else { return false };
    wanted.tiers.iter().all(|tier| {
        let mine = store.tiers.iter().find(|mine| (mine.width_us, mine.offset_us) == (tier.width_us, tier.offset_us));
        tier.shapes.iter().all(|shape| {
            mine.is_some_and(|tier| {
                tier.shapes.iter().any(|mine| {
                    mine.window == shape.window && mine.retention_us >= shape.retention_us && mine.accumulators.is_superset(&positions)
                })
            })
        })
    })
}

/// Width and offset of the slices that both the store's base tier and `tier` can be assembled from, if sharing them is worth it.
fn joint_base(store: &Store, tier: &Tier) -> Option<(i64, i64)> {
    let base = &store.tiers[0];
    let shift = (base.offset_us - tier.offset_us).abs();
    let width = gcd(gcd(base.width_us, tier.width_us), shift);
    let worth = base.width_us.min(tier.width_us) / width <= SPLIT_MAX;
    worth.then(|| (width, base.offset_us.rem_euclid(width)))
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn merge_accumulators(store: &mut Store, lowered: &[Vec<Accumulator>]) -> Vec<Vec<usize>> {
    let mut position = |accumulator: &Accumulator| {
        store.accumulators.iter().position(|mine| mine == accumulator).unwrap_or_else(|| {
            store.accumulators.push(accumulator.clone());
            store.accumulators.len() - 1
        })
    };
    lowered.iter().map(|accumulators| accumulators.iter().map(&mut position).collect()).collect()
}

/// Finds or makes the tier and shape of a metric, if the store is sliced.
fn merge_shape(store: &mut Store, metric: &MetricPlan, accumulators: &[Vec<usize>]) {
    let Some(width_us) = metric.window.slice_width_us() else { return };
    let wanted = Tier { width_us, offset_us: metric.window.offset_us().rem_euclid(width_us), shapes: Vec::new() };
    if !store.tiers.is_empty() {
        let (width_us, offset_us) = joint_base(store, &wanted).expect("checked before the store was chosen");
        if (width_us, offset_us) != (store.tiers[0].width_us, store.tiers[0].offset_us) {
            store.tiers.insert(0, Tier { width_us, offset_us, shapes: Vec::new() });
        }
    }
    let same = |tier: &Tier| (tier.width_us, tier.offset_us) == (wanted.width_us, wanted.offset_us);
    let tier = store.tiers.iter().position(same).unwrap_or_else(|| {
        store.tiers.push(wanted.clone());
        store.tiers.len() - 1
    });
    let shapes = &mut store.tiers[tier].shapes;
    let shape = shapes.iter().position(|shape| shape.window == metric.window).unwrap_or_else(|| {
        shapes.push(Shape { window: metric.window, retention_us: 0, accumulators: BTreeSet::new() });
        shapes.len() - 1
    });
    shapes[shape].retention_us = shapes[shape].retention_us.max(metric.retention_us);
    shapes[shape].accumulators.extend(accumulators.iter().flatten());
}
