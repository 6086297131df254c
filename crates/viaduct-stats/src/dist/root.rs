//! A bracketed Newton search for inverting distribution functions.

/// Finds the root of an increasing function between `low` and `high`.
///
/// `evaluate` returns the value and its derivative. Newton's step is taken where it stays inside
/// of the bracket, bisection otherwise; so the search ends for every continuous monotone function.
pub(crate) fn increasing(
    mut low: f64,
    mut high: f64,
    start: f64,
    evaluate: impl Fn(f64) -> (f64, f64),
) -> f64 {
    // Why 200: bisection alone halves the widest double bracket to one ulp in fewer steps.
    const STEPS_MAX: usize = 200;
    let mut x = if start > low && start < high { start } else { 0.5 * (low + high) };
    for _ in 0..STEPS_MAX {
        let (value, slope) = evaluate(x);
        if value == 0.0 || value.is_nan() {
            return x;
        }
        if value > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let newton = x - value / slope;
        let next = if newton.is_finite() && newton > low && newton < high {
            newton
        } else {
            0.5 * (low + high)
        };
        if (next - x).abs() <= 3e-16 * x.abs()
            || high - low <= f64::EPSILON * low.abs().min(high.abs())
        {
            return next;
        }
        x = next;
    }
    x
}
