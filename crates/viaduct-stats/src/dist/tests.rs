//! Tails against thirty-digit arithmetic (mpmath), and quantiles against the tails they invert.

use super::{beta, binomial, chi_squared, normal, student};

/// Function, arguments, value by mpmath 1.3 at 30 digits.
#[rustfmt::skip]
const REFERENCE: &[(&str, &[f64], f64)] = &[
    ("t", &[0.001, 0.5], 0.9994606476684876),
    ("t", &[0.5, 0.5], 0.7573180729294366),
    ("t", &[1.96, 0.5], 0.4497229777383791),
    ("t", &[8.0, 0.5], 0.2265050928075786),
    ("t", &[40.0, 0.5], 0.1014097999294944),
    ("t", &[0.001, 1.0], 0.9993633804398389),
    ("t", &[0.5, 1.0], 0.7048327646991335),
    ("t", &[1.96, 1.0], 0.3003428917760331),
    ("t", &[8.0, 1.0], 0.07916684832113108),
    ("t", &[40.0, 1.0], 0.01591217982405163),
    ("t", &[0.001, 2.5], 0.9992763827207849),
    ("t", &[0.5, 2.5], 0.6576979198697147),
    ("t", &[1.96, 2.5], 0.162947564472814),
    ("t", &[8.0, 2.5], 7.656644131043447e-3),
    ("t", &[40.0, 2.5], 1.419563429049338e-4),
    ("t", &[0.001, 30.0], 0.9992087357664851),
    ("t", &[0.5, 30.0], 0.6207230048851273),
    ("t", &[1.96, 30.0], 0.05934231289605048),
    ("t", &[8.0, 30.0], 6.265822475700759e-9),
    ("t", &[0.001, 1000.0], 0.9992023150184527),
    ("t", &[0.5, 1000.0], 0.6171850808338748),
    ("t", &[1.96, 1000.0], 0.05027318495574872),
    ("t", &[8.0, 1000.0], 3.426661482391474e-15),
    ("t", &[0.001, 1000000.0], 0.9992021157716491),
    ("t", &[0.5, 1000000.0], 0.6170751874723714),
    ("t", &[1.96, 1000000.0], 0.04999606758526979),
    ("t", &[8.0, 1000000.0], 1.245506343320252e-15),
    ("t", &[0.001, 1000000000.0], 0.9992021155723773),
    ("t", &[0.5, 1000000000.0], 0.6170750775619942),
    ("t", &[1.96, 1000000000.0], 0.0499957905737296),
    ("t", &[8.0, 1000000000.0], 1.244193428445476e-15),
    ("chi2", &[0.01, 1.0], 0.920344325445942),
    ("chi2", &[0.5, 1.0], 0.4795001221869535),
    ("chi2", &[1.0, 1.0], 0.3173105078629141),
    ("chi2", &[1.5, 1.0], 0.2206713619198468),
    ("chi2", &[4.0, 1.0], 0.04550026389635841),
    ("chi2", &[0.02, 2.0], 0.9900498337491681),
    ("chi2", &[1.0, 2.0], 0.6065306597126334),
    ("chi2", &[2.0, 2.0], 0.3678794411714423),
    ("chi2", &[3.0, 2.0], 0.2231301601484298),
    ("chi2", &[8.0, 2.0], 0.01831563888873418),
    ("chi2", &[0.07, 7.0], 0.9999993289114677),
    ("chi2", &[3.5, 7.0], 0.8352254826103421),
    ("chi2", &[7.0, 7.0], 0.4288798575530547),
    ("chi2", &[10.5, 7.0], 0.1619644930794282),
    ("chi2", &[28.0, 7.0], 2.198924568457963e-4),
    ("chi2", &[1.0, 100.0], 1.0),
    ("chi2", &[50.0, 100.0], 0.9999930466947524),
    ("chi2", &[100.0, 100.0], 0.4811916845279567),
    ("chi2", &[150.0, 100.0], 9.039320423540091e-4),
    ("chi2", &[400.0, 100.0], 1.692797995885709e-37),
    ("z", &[-38.0], 1.0),
    ("z", &[-8.0], 0.9999999999999994),
    ("z", &[-0.001], 0.5003989422139111),
    ("z", &[0.7], 0.241963652223073),
    ("z", &[5.0], 2.866515718791939e-7),
    ("z", &[20.0], 2.753624118606234e-89),
    ("binom", &[3.0, 10.0, 0.5], 0.9453125),
    ("binom", &[1.0, 50.0, 0.01], 0.3949939328624634),
    ("binom", &[480.0, 1000.0, 0.5], 0.9026168357691173),
    ("binom", &[101000.0, 1000000.0, 0.1], 4.386199762950373e-4),
    ("binom", &[5.0, 1000000.0, 1e-06], 3.65982383490227e-3),
    ("beta", &[0.1, 0.2, 0.3], 0.6228433547203173),
    ("beta", &[3.0, 4.0, 0.7], 0.92953),
];

#[test]
fn tails_agree_with_mpmath() {
    let mut worst: f64 = 0.0;
    for (function, arguments, expected) in REFERENCE {
        let got = match (*function, *arguments) {
            ("t", [t, dof]) => student::two_sided(*t, *dof),
            ("chi2", [x, dof]) => chi_squared::sf(*x, *dof),
            ("z", [z]) => normal::sf(*z),
            ("binom", [x, n, p]) => binomial::at_least(*x as u64, *n as u64, *p),
            ("beta", [a, b, x]) => beta::regularised(*a, *b, *x, 1.0 - x).0,
            _ => f64::NAN,
        };
        let error = ((got - expected) / expected).abs();
        assert!(error < 2e-12, "{function}{arguments:?}: {expected:e} but {got:e}");
        worst = worst.max(error);
    }
    println!("{} tails, worst relative error {worst:.1e}", REFERENCE.len());
}

/// Why `statrs` is not used for these: its digits at large degrees of freedom, beside ours.
#[test]
fn statrs_loses_digits_where_we_do_not() {
    use statrs::distribution::{ContinuousCDF, StudentsT};
    let expected = REFERENCE
        .iter()
        .find(|(function, arguments, _)| *function == "t" && *arguments == [8.0, 1e6])
        .map_or(f64::NAN, |(_, _, value)| *value);
    let theirs = StudentsT::new(0.0, 1.0, 1e6).map_or(f64::NAN, |t| 2.0 * t.cdf(-8.0));
    let error = |got: f64| ((got - expected) / expected).abs();
    assert!(error(student::two_sided(8.0, 1e6)) < 1e-12);
    println!("statrs is off by {:.1e} at t = 8 with 10^6 degrees of freedom", error(theirs));
}

#[test]
fn quantiles_invert_tails() {
    for p in [1e-12, 1e-5, 0.025, 0.31, 0.5, 0.9, 0.999] {
        assert!((normal::cdf(normal::quantile(p)) / p - 1.0).abs() < 1e-13, "normal {p}");
        for dof in [0.7, 1.0, 3.0, 17.5, 1e4, 1e8] {
            let t = student::quantile(p, dof);
            assert!((student::cdf(t, dof) / p - 1.0).abs() < 1e-12, "t {p} {dof}");
            let x = chi_squared::quantile(p, dof);
            // One ulp of x moves the tail by that much for many degrees of freedom.
            let allowed = if dof < 1e6 { 1e-11 } else { 1e-9 };
            assert!((chi_squared::cdf(x, dof) / p - 1.0).abs() < allowed, "chi2 {p} {dof}: {x}");
            let y = beta::quantile(dof, 2.5, p, 1.0 - p);
            let back = beta::regularised(dof, 2.5, y, 1.0 - y).0;
            // Near one the complement has few digits left, and so has the way back.
            let allowed = if dof < 1e3 { 1e-10 } else { 1e-6 };
            assert!((back / p - 1.0).abs() < allowed, "beta {p} {dof}: {back}");
        }
    }
}

#[test]
fn nonsense_answers_nan_and_ends() {
    for bad in [f64::NAN, -1.0, f64::INFINITY, f64::NEG_INFINITY, 0.0] {
        let _ = (student::two_sided(bad, bad), student::quantile(bad, bad));
        let _ = (chi_squared::sf(bad, bad), chi_squared::quantile(bad, bad));
        let _ = (beta::regularised(bad, bad, bad, bad), beta::quantile(bad, bad, bad, bad));
        let _ = (normal::quantile(bad), normal::sf(bad));
    }
    assert!(student::two_sided(1.0, -1.0).is_nan());
    assert!(normal::quantile(2.0).is_nan());
}
