//! Values by their order.

/// Median; the mean of the middle two where their number is even; `None` of nothing. Reorders the values.
pub fn median(values: &mut [f64]) -> Option<f64> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let (below, &mut middle, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    Some(match n % 2 {
        1 => middle,
        _ => 0.5 * (below.iter().copied().fold(f64::NEG_INFINITY, f64::max) + middle),
    })
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn middle_or_between_the_middle_two() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
