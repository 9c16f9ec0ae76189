//! Error bounds of the sketches on seeded data.

use raympp_operators::accumulator::heavy::{DdSketch, Hll};

/// SplitMix64: a fixed sequence of well-mixed numbers per seed.
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some(z ^ (z >> 31))
    }
}

fn relative_error(seed: u64, distinct: usize) -> f64 {
    let mut sketch = Hll::default();
    Numbers(seed).take(distinct).for_each(|number| sketch.add(&number.to_be_bytes()));
    sketch.estimate() as f64 / distinct as f64 - 1.0
}

#[test]
fn the_standard_error_of_distinct_counts_is_below_one_percent() {
    for distinct in [1, 10, 100, 1_000, 5_000, 20_000, 60_000, 200_000] {
        let errors: Vec<f64> = (0..40).map(|seed| relative_error(seed << 32, distinct)).collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let deviation = (errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64).sqrt();
        assert!(deviation <= 0.01, "{distinct} values: standard error {deviation}");
        assert!(mean.abs() <= 0.004, "{distinct} values: bias {mean}");
    }
}

#[test]
fn adding_values_again_changes_no_estimate() {
    let mut sketch = Hll::default();
    (0..3).for_each(|_| Numbers(7).take(3_000).for_each(|number| sketch.add(&number.to_be_bytes())));
    let mut once = Hll::default();
    Numbers(7).take(3_000).for_each(|number| once.add(&number.to_be_bytes()));
    assert_eq!(sketch, once);
}

fn check_quantiles(mut values: Vec<f64>) {
    let mut sketch = DdSketch::default();
    values.iter().for_each(|&value| sketch.add(value));
    values.sort_by(f64::total_cmp);
    for q in [0.0, 0.001, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0] {
        let exact = values[(q * (values.len() - 1) as f64) as usize];
        let estimate = sketch.quantile(q).expect("values");
        assert!((estimate - exact).abs() <= 0.01 * exact.abs(), "q = {q}: {estimate} instead of {exact}");
    }
}

#[test]
fn quantiles_are_within_one_percent_of_the_value() {
    let unit = |number: u64| (number >> 11) as f64 / 2f64.powi(53);
    check_quantiles(Numbers(1).take(100_000).map(unit).collect());
    check_quantiles(Numbers(2).take(100_000).map(|number| 1.0 / (unit(number) + 1e-9)).collect());
    check_quantiles(Numbers(3).take(100_000).map(|number| 1e6 * unit(number) - 5e5).collect());
    check_quantiles(Numbers(4).take(100_000).map(|number| (number % 100) as f64).collect());
    check_quantiles(Numbers(5).take(100_000).map(f64::from_bits).filter(|value| value.is_finite()).collect());
    check_quantiles(vec![-3.5]);
    assert_eq!(DdSketch::default().quantile(0.5), None);
}
