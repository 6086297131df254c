//! Kolmogorov's and Smirnov's distributions for finite samples.
//!
//! One sample: the choice of methods of Simard and L'Ecuyer (2011) as scipy makes it, so that
//! p-values agree with scipy's `kstwo`. Two samples: the probability that a random lattice path
//! leaves the band, summed without cancellation.

use nalgebra::DMatrix;

use super::beta::binomial_weight;

/// P(D_n >= d) of the two-sided one-sample statistic for n >= 1 observations.
pub fn one_sample_sf(d: f64, n: u64) -> f64 {
    let x = d;
    let size = n as f64;
    if x >= 1.0 {
        return 0.0;
    }
    let t = size * x;
    if t <= 0.5 {
        return 1.0;
    }
    if t <= 1.0 {
        // Ruben and Gambino: the distribution function is n! (2 t - 1)^n / n^n.
        let log = libm::lgamma(size + 1.0) - size * size.ln() + size * (2.0 * t - 1.0).ln();
        return (1.0 - log.exp()).clamp(0.0, 1.0);
    }
    if t >= size - 1.0 {
        return (2.0 * (1.0 - x).powf(size)).min(1.0);
    }
    if x >= 0.5 {
        return (2.0 * smirnov(n, x)).min(1.0);
    }
    let square = t * x;
    let below = if n <= 140 {
        if square > 4.0 {
            return 2.0 * smirnov(n, x);
        }
        durbin(n, x)
    } else {
        if square >= 370.0 {
            return 0.0;
        }
        if square >= 2.2 {
            return 2.0 * smirnov(n, x);
        }
        if n <= 100_000 && size * x.powf(1.5) <= 1.4 { durbin(n, x) } else { pelz_good(size, x) }
    };
    (1.0 - below).clamp(0.0, 1.0)
}

/// Upper tail of the one-sided statistic: Smirnov's finite sum, all terms of one sign.
fn smirnov(n: u64, x: f64) -> f64 {
    let size = n as f64;
    let last = (size * (1.0 - x)).floor() as u64;
    let term = |v: u64| {
        let v = v as f64;
        let p = x + v / size;
        let q = ((size - v) / size - x).max(0.0);
        binomial_weight(v, size, p, q) * (x / p)
    };
    // Why both ways from the largest term: beyond it the terms fall off like a normal density.
    let peak = ((0.5 * (1.0 - x)) * size) as u64;
    let (mut sum, mut v) = (0.0, peak.min(last));
    let start = v;
    loop {
        let next = term(v);
        sum += next;
        if v == 0 || next < sum * 1e-18 {
            break;
        }
        v -= 1;
    }
    v = start;
    while v < last {
        v += 1;
        let next = term(v);
        sum += next;
        if next < sum * 1e-18 && v > start + 64 {
            break;
        }
    }
    sum.min(1.0)
}

/// Distribution function by Durbin's matrix (Marsaglia, Tsang and Wang 2003).
fn durbin(n: u64, d: f64) -> f64 {
    const SCALE_BITS: i32 = 128;
    let size = n as f64;
    let nd = size * d;
    let k = nd.ceil() as usize;
    let h = k as f64 - nd;
    let m = 2 * k - 1;
    let mut reciprocal = vec![1.0; m + 1];
    for j in 1..=m {
        reciprocal[j] = reciprocal[j - 1] / j as f64;
    }
    let mut v: Vec<f64> = (1..=m).map(|j| (1.0 - h.powi(j as i32)) * reciprocal[j]).collect();
    let power = (2.0 * h - 1.0).max(0.0).powi(m as i32) - 2.0 * h.powi(m as i32);
    v[m - 1] = (1.0 + power) * reciprocal[m];
    let mut matrix = DMatrix::zeros(m, m);
    for column in 1..m {
        for row in column - 1..m {
            matrix[(row, column)] = reciprocal[row + 1 - column];
        }
    }
    for row in 0..m {
        matrix[(row, 0)] = v[row];
        matrix[(m - 1, row)] = v[m - 1 - row];
    }
    let mut result = DMatrix::identity(m, m);
    let (mut exponent, mut matrix_exponent) = (0_i32, 0_i32);
    let big = 2.0_f64.powi(SCALE_BITS);
    let mut left = n;
    while left > 0 {
        if left % 2 == 1 {
            result = &result * &matrix;
            exponent += matrix_exponent;
        }
        matrix = &matrix * &matrix;
        matrix_exponent *= 2;
        if matrix[(k - 1, k - 1)].abs() > big {
            matrix /= big;
            matrix_exponent += SCALE_BITS;
        }
        left /= 2;
    }
    let mut p = result[(k - 1, k - 1)];
    for i in 1..=n {
        p *= i as f64 / size;
        if p.abs() < 1.0 / big {
            p *= big;
            exponent -= SCALE_BITS;
        }
    }
    libm::ldexp(p, exponent).clamp(0.0, 1.0)
}

/// Pelz and Good's series (1976), the form of Simard and L'Ecuyer.
fn pelz_good(n: f64, x: f64) -> f64 {
    use std::f64::consts::PI;
    let z = n.sqrt() * x;
    let (z2, z3, z4, z6) = (z * z, z.powi(3), z.powi(4), z.powi(6));
    let (p2, p4, p6) = (PI * PI, PI.powi(4), PI.powi(6));
    let log = -p2 / 8.0 / z2;
    if log < -708.0 {
        return 0.0;
    }
    let q = log.exp();
    let root_tau = (2.0 * PI).sqrt();
    let (k1a, k1b) = (-z2, p2 / 4.0);
    let k2 = [6.0 * z6 + 2.0 * z4, (2.0 * z4 - 5.0 * z2) * p2 / 4.0, p4 * (1.0 - 2.0 * z2) / 16.0];
    let k3 = [
        -30.0 * z6 - 90.0 * z.powi(8),
        p2 * (135.0 * z4 - 96.0 * z6) / 4.0,
        p4 * (-60.0 * z2 + 212.0 * z4) / 16.0,
        p6 * (5.0 - 30.0 * z2) / 64.0,
    ];
    let terms = (16.0 * z / PI).ceil() as i32;
    let mut sums = [0.0_f64; 4];
    for k in (1..=terms).rev() {
        let odd = f64::from(2 * k - 1);
        let (m2, m4, m6) = (odd * odd, odd.powi(4), odd.powi(6));
        let factor = q.powi(8 * k);
        let terms = [
            1.0,
            k1a + k1b * m2,
            k2[0] + k2[1] * m2 + k2[2] * m4,
            k3[0] + k3[1] * m2 + k3[2] * m4 + k3[3] * m6,
        ];
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum = *sum * factor + term;
        }
    }
    let scales = [z, 6.0 * z4, 72.0 * z.powi(7), 6480.0 * z.powi(10)];
    for (sum, scale) in sums.iter_mut().zip(scales) {
        *sum *= q * root_tau / scale;
    }
    let q = (-p2 / 2.0 / z2).exp();
    let root3z = 3.0_f64.sqrt() * z;
    let (mut extra2, mut extra3) = (0.0, 0.0);
    for k in (1..=terms).rev() {
        let k2 = f64::from(k * k);
        let power = q.powf(k2);
        let kpi = PI * f64::from(k);
        extra2 += k2 * power;
        extra3 += (root3z + kpi) * (root3z - kpi) * k2 * power;
    }
    sums[2] += extra2 * p2 * root_tau / (-36.0 * z3);
    sums[3] += extra3 * p2 * root_tau / (216.0 * z6);
    sums[0] + sums[1] / n.sqrt() + sums[2] / n + sums[3] / n.powf(1.5)
}

/// P(D_{m,n} >= h / lcm(m, n)) for two samples without ties.
///
/// Every lattice path from (0, 0) to (m, n) is equally likely; the recursion carries the share of
/// paths that have left the band, so that small probabilities keep their digits. Runs in
/// O(m * width of the band).
pub fn two_sample_sf(m: u64, n: u64, h: u64) -> f64 {
    if h == 0 {
        return 1.0;
    }
    if m == n {
        return equal_sizes(m, h);
    }
    let (m, n) = (m.max(n), m.min(n));
    let g = gcd(m, n);
    let (mg, ng, h) = ((m / g) as i64, (n / g) as i64, h as i64);
    let n = n as i64;
    let up_to = |i: i64| (ceil_div(ng * i + h, mg)).min(n + 1);
    let (mut low, mut high) = (0_i64, up_to(0));
    let mut outside = vec![1.0_f64; (n + 2) as usize];
    outside[..high as usize].fill(0.0);
    for i in 1..=m as i64 {
        let (last_low, last_width) = (low, high - low);
        low = ((ng * i - h).div_euclid(mg) + 1).max(0).min(n);
        high = up_to(i);
        if high <= low {
            return 1.0;
        }
        let mut value = if low == 0 { 0.0 } else { 1.0 };
        for j in low..high {
            let from = (j - last_low) as usize;
            value = (outside[from] * i as f64 + value * j as f64) / (i + j) as f64;
            outside[(j - low) as usize] = value;
        }
        let width = high - low;
        if last_width > width {
            outside[width as usize..last_width as usize].fill(1.0);
        }
    }
    outside[(high - low - 1) as usize].clamp(0.0, 1.0)
}

/// Hodges' alternating sum in nested form, for samples of equal size.
fn equal_sizes(n: u64, h: u64) -> f64 {
    let (size, step) = (n as f64, h as f64);
    let mut p = 0.0;
    for k in (0..=n / h).rev() {
        let k = k as f64;
        let mut ratio = 1.0;
        for j in 0..h {
            let j = j as f64;
            ratio *= (size - k * step - j) / (size + k * step + j + 1.0);
        }
        p = ratio * (1.0 - p);
    }
    (2.0 * p).clamp(0.0, 1.0)
}

pub(crate) fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn ceil_div(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}
