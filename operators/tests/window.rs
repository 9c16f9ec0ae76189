//! Window arithmetic: what holds for every shape, offset and event time. The reference is the definition, in 128 bits.
#![allow(clippy::unwrap_used, clippy::mutable_key_type, missing_docs, reason = "tests")]

use proptest::prelude::*;
use raympp_operators::window::{WINDOW_SIZE_MAX_US, Window, representable, slice_of, slice_start};

/// The latest and earliest event times that windows can be made of.
const TIME_MAX_US: i64 = i64::MAX - 2 * WINDOW_SIZE_MAX_US;
const TIME_MIN_US: i64 = i64::MIN + 2 * WINDOW_SIZE_MAX_US;

fn times() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -200i64..200, 2 => TIME_MIN_US..=TIME_MAX_US, 1 => Just(TIME_MIN_US), 1 => Just(TIME_MAX_US), 1 => Just(0)]
}

/// Widths and numbers of them, few and small more often than not.
fn shapes() -> impl Strategy<Value = Window> {
    let small = (1i64..20, 1i64..20, -50i64..50);
    let large = (1i64..=WINDOW_SIZE_MAX_US >> 6, 1i64..64, -WINDOW_SIZE_MAX_US..=WINDOW_SIZE_MAX_US);
    let parts = prop_oneof![4 => small, 1 => large];
    (parts, 0..3).prop_map(|((width, count, offset_us), kind)| match kind {
        0 => Window::Tumble { size_us: width, offset_us },
        1 => Window::Hop { slide_us: width, size_us: width * count, offset_us },
        _ => Window::Cumulate { step_us: width, size_us: width * count, offset_us },
    })
}

fn width(window: &Window) -> i64 {
    window.slice_width_us().expect("a sliced shape")
}

/// All windows that hold a time, by definition: every aligned start near it, every length the shape has.
fn windows_by_definition(window: &Window, time_us: i64) -> Vec<(i128, i128)> {
    let (time, offset) = (i128::from(time_us), i128::from(window.offset_us()));
    let (start_step, lengths): (i128, Vec<i128>) = match *window {
        Window::Tumble { size_us, .. } => (size_us.into(), vec![size_us.into()]),
        Window::Hop { slide_us, size_us, .. } => (slide_us.into(), vec![size_us.into()]),
        Window::Cumulate { step_us, size_us, .. } => {
            (size_us.into(), (1..=size_us / step_us).map(|i| i128::from(i) * i128::from(step_us)).collect())
        }
        _ => unreachable!("only sliced shapes are made"),
    };
    let first = (time - offset).div_euclid(start_step) - i128::from(window.size_us()) / start_step - 1;
    let last = (time - offset).div_euclid(start_step) + 1;
    let starts = (first..=last).map(|i| i * start_step + offset);
    let mut holding: Vec<(i128, i128)> = starts
        .flat_map(|start| lengths.iter().map(move |length| (start, start + length)))
        .filter(|&(start, end)| start <= time && time < end)
        .collect();
    holding.sort_by_key(|&(_, end)| end);
    holding
}

proptest! {
    #[test]
    fn windows_of_a_time_are_those_that_hold_it(window in shapes(), time_us in times()) {
        let found: Vec<(i128, i128)> = window.windows_of(time_us).map(|(start, end)| (start.into(), end.into())).collect();
        prop_assert_eq!(found, windows_by_definition(&window, time_us));
    }

    #[test]
    fn the_live_window_is_the_first_to_close(window in shapes(), time_us in times()) {
        let end = window.live_end(time_us);
        let first = window.windows_of(time_us).next();
        prop_assert_eq!(first, Some((window.start_of_window_ending(end), end)));
        prop_assert!(end - width(&window) <= time_us && time_us < end);
    }

    #[test]
    fn slices_tile_time(time_us in times(), width_us in 1i64..=WINDOW_SIZE_MAX_US, offset in any::<i64>()) {
        let offset_us = offset.rem_euclid(width_us);
        let slice = slice_of(time_us, width_us, offset_us);
        prop_assert!(slice_start(slice, width_us, offset_us) <= time_us);
        prop_assert!(time_us < slice_start(slice + 1, width_us, offset_us));
        prop_assert_eq!(slice_of(slice_start(slice, width_us, offset_us), width_us, offset_us), slice);
    }

    #[test]
    fn a_window_is_a_union_of_slices(window in shapes(), time_us in times()) {
        let (width, offset) = (width(&window), window.offset_us());
        for (start, end) in window.windows_of(time_us) {
            for bound in [start, end] {
                prop_assert_eq!(slice_start(slice_of(bound, width, offset), width, offset), bound);
            }
            prop_assert!(end - start <= window.size_us());
        }
    }

    #[test]
    fn bounds_of_representable_times_never_leave_64_bits(window in shapes(), late in any::<bool>()) {
        let time_us = if late { TIME_MAX_US } else { TIME_MIN_US };
        prop_assert!(representable(time_us));
        for (start, end) in window.windows_of(time_us) {
            prop_assert!(start <= time_us && time_us < end && end - start <= WINDOW_SIZE_MAX_US);
        }
    }
}

#[test]
fn only_times_near_the_ends_of_the_range_are_not_representable() {
    assert!(representable(TIME_MIN_US) && representable(TIME_MAX_US) && representable(0));
    assert!(!representable(TIME_MIN_US - 1) && !representable(TIME_MAX_US + 1));
    assert!(!representable(i64::MIN) && !representable(i64::MAX));
}

#[test]
fn windows_before_1970_are_aligned_by_floor_division() {
    let tumble = Window::Tumble { size_us: 10, offset_us: 0 };
    assert_eq!(tumble.windows_of(-1).collect::<Vec<_>>(), [(-10, 0)]);
    assert_eq!(tumble.windows_of(-10).collect::<Vec<_>>(), [(-10, 0)]);
    assert_eq!(tumble.windows_of(-11).collect::<Vec<_>>(), [(-20, -10)]);
    let shifted = Window::Tumble { size_us: 10, offset_us: -3 };
    assert_eq!(shifted.windows_of(-4).collect::<Vec<_>>(), [(-13, -3)]);
    let cumulate = Window::Cumulate { step_us: 5, size_us: 15, offset_us: 0 };
    assert_eq!(cumulate.windows_of(-10).collect::<Vec<_>>(), [(-15, -5), (-15, 0)]);
    let hop = Window::Hop { slide_us: 5, size_us: 15, offset_us: 0 };
    assert_eq!(hop.windows_of(-10).collect::<Vec<_>>(), [(-20, -5), (-15, 0), (-10, 5)]);
}
