//! The table of families: name, fields, source, function.

use super::{
    data::{detectors, drift, profile, unlabelled},
    input::{Answer, Fields},
    value::{arms, counts, money, panel, series},
};

/// One family of `viaduct calc`.
pub(crate) struct Family {
    /// Name on the command line.
    pub(crate) name: &'static str,
    /// Fields read, with units.
    pub(crate) fields: &'static str,
    /// Where the formula comes from.
    pub(crate) source: &'static str,
    /// The function.
    pub(crate) run: fn(&Fields<'_>) -> Answer,
}

/// All families, by name.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "adoption",
        fields: "events [{day, user, eligible, scored, automated, human_changed, seconds_to_action (s)}], window_days (d), licensed_users (people)",
        source: "value.md 1.9; Wilson 1927",
        run: money::adoption,
    },
    Family {
        name: "bayes",
        fields: "a, b {n, sum, sum_sq}, proportion, difference_type, lower_is_better, prior {mean, variance, proper, scale}; or x_a, n_a, x_b, n_b, prior [alpha, beta]",
        source: "GrowthBook gbstats 0.8.0, normal posterior; Miller, closed Beta-Binomial sum",
        run: arms::bayes,
    },
    Family {
        name: "cbpe",
        fields: "reference {p, y}, analysis {p, y or null}, y_pred_rule, chunk_size (rows)",
        source: "NannyML 0.13.1, CBPE",
        run: unlabelled::cbpe,
    },
    Family {
        name: "cbpe_multiclass",
        fields: "probabilities {class: column}, reference and analysis {columns, yhat, y}, chunk_size (rows)",
        source: "NannyML 0.13.1, CBPE one against the rest",
        run: unlabelled::cbpe_multiclass,
    },
    Family {
        name: "cuped",
        fields: "y_a, x_a, y_b, x_b (arrays; outcome and its value before the trial, null = no history)",
        source: "Deng and others 2013; pooled theta as gbstats",
        run: arms::cuped,
    },
    Family {
        name: "decision_rule",
        fields: "srm (ok, warn, alert), success [{p, dir}], guardrails [{non_inferior}], deterioration [{p}]; optional alpha, contamination, pre_period_p, missing_outcomes_p, registered_before_exposure",
        source: "Schultzberg and others, arXiv 2402.11609; value.md 1.5.8",
        run: counts::decision_rule,
    },
    Family {
        name: "detectors",
        fields: "detector (ADWIN, PageHinkley, DDM, EDDM, HDDM_A, HDDM_W), params, stream (numbers, or 0 and 1 with 1 = error)",
        source: "river 0.26.1",
        run: detectors::detectors,
    },
    Family {
        name: "did",
        fields: "columns [unit, time, d, y], rows (one a unit and period)",
        source: "two-way fixed effects, CR1 by unit as fixest and reghdfe; value.md 1.5.10",
        run: panel::did,
    },
    Family {
        name: "dle",
        fields: "features, reference and analysis {features, y_pred, y_true or null}, chunk_size (rows)",
        source: "NannyML 0.13.1, DLE; boosted trees with LightGBM's defaults",
        run: unlabelled::dle,
    },
    Family {
        name: "drift_evidently",
        fields: "kind (numeric, categorical), ref, cur (null = missing)",
        source: "Evidently 0.7.23: Sturges over both samples, nats",
        run: drift::evidently,
    },
    Family {
        name: "drift_nannyml",
        fields: "kind (numeric, categorical), ref, cur (null = missing)",
        source: "NannyML 0.13.1: Doane over the reference, bits",
        run: drift::nannyml,
    },
    Family {
        name: "drift_scipy",
        fields: "kind (numeric, categorical), ref, cur (null = missing)",
        source: "scipy 1.17: Hodges 1958, Simard and L'Ecuyer 2011; classic PSI on reference deciles, floor 1e-4",
        run: drift::scipy,
    },
    Family {
        name: "finance",
        fields: "monthly_net_flows (money, first one today), annual_discount_rate; or effect, se, units_per_year, value_per_unit, annual_cost (money)",
        source: "numpy-financial; value.md 1.5.16 and 1.8",
        run: money::finance,
    },
    Family {
        name: "group_sequential_bounds",
        fields: "information_fractions, alpha, sides, spending (alpha*t^k)",
        source: "Lan and DeMets 1983; Armitage, McPherson and Rowe 1969",
        run: counts::group_sequential_bounds,
    },
    Family {
        name: "interrupted_time_series",
        fields: "y (one a period), intervention_index, maxlags",
        source: "segmented OLS, Newey and West 1987, Cochrane and Orcutt; statsmodels",
        run: series::interrupted_time_series,
    },
    Family {
        name: "intervals",
        fields: "x, n, confidence; or events, exposure_days (d), confidence; or events_a, exposure_a, events_b, exposure_b",
        source: "Wilson 1927; Clopper and Pearson 1934; Garwood 1936; conditional binomial",
        run: counts::intervals,
    },
    Family {
        name: "ledger",
        fields: "node, workloads (cores, GiB, hours, rates); or total (decimal), weights; or entries [{month, kind, status, amount (decimal)}]; or projects [{name, npv, se, invest}]",
        source: "OpenCost spec 0.1; largest remainder; value.md 1.8",
        run: money::ledger,
    },
    Family {
        name: "meta_departments",
        fields: "effects, se (one a department)",
        source: "DerSimonian and Laird 1986; Hartung and Knapp 2001; Higgins and others 2009",
        run: panel::meta_departments,
    },
    Family {
        name: "multiple_comparisons",
        fields: "p, alpha",
        source: "Bonferroni; Holm 1979; Benjamini and Hochberg 1995",
        run: counts::multiple_comparisons,
    },
    Family {
        name: "noninferiority",
        fields: "n_a, x_a, n_b, x_b (or a, b samples), relative_margin (share of control), preferred_direction, alpha (one-sided)",
        source: "value.md 1.5.7; spotify-confidence",
        run: arms::noninferiority,
    },
    Family {
        name: "paired",
        fields: "table_first_correct_rows_second_correct_cols; or table (counts); or before, after",
        source: "McNemar 1947; Cohen 1960, Fleiss and others 1969; Student; Wilcoxon 1945",
        run: arms::paired,
    },
    Family {
        name: "power",
        fields: "sd, mde, alpha, power, ratio_n2_over_n1; or p_control, absolute_mde or relative_mde, sides; or n_per_arm, correlation_pre_post; or n_per_arm, cluster_size, icc; or alpha, beta, guardrails",
        source: "value.md 1.5.9; statsmodels TTestIndPower; arXiv 2402.11609",
        run: counts::power,
    },
    Family {
        name: "profile",
        fields: "kind (numeric, categorical), values (null = missing)",
        source: "pandas, numpy, DuckDB",
        run: profile::profile,
    },
    Family {
        name: "proportion",
        fields: "n_a, x_a, n_b, x_b (units, events)",
        source: "z tests; Newcombe 1998 method 10; Fisher",
        run: arms::proportion,
    },
    Family {
        name: "ratio_delta",
        fields: "num_a, den_a, num_b, den_b (arrays, one a unit)",
        source: "delta method; value.md 1.5.3",
        run: arms::ratio_delta,
    },
    Family {
        name: "sequential_acs",
        fields: "alpha, tuning_parameter (units in total), looks [{a, b {n, sum, sum_sq}}]",
        source: "Waudby-Smith and others, arXiv 2103.06476; gbstats",
        run: arms::sequential_acs,
    },
    Family {
        name: "srm",
        fields: "counts, weights; or batches, probabilities, dirichlet_concentration",
        source: "Pearson; Lindon and Malek 2022",
        run: counts::srm,
    },
    Family {
        name: "staggered_adoption",
        fields: "columns [unit, time, d, y, start], rows",
        source: "Gardner's did2s; Borusyak, Jaravel and Spiess; value.md 1.5.11",
        run: panel::staggered_adoption,
    },
    Family {
        name: "structural_time_series",
        fields: "y, x (control series), intervention_index, fixed_params, params_for_forecast {sigma2_irregular, sigma2_level, beta}",
        source: "Kalman filter, approximate-diffuse level; value.md 1.5.13",
        run: series::structural_time_series,
    },
    Family {
        name: "synthetic_control",
        fields: "treated, donors, intervention_index",
        source: "Abadie and others 2010; value.md 1.5.14",
        run: series::synthetic_control,
    },
    Family {
        name: "welch",
        fields: "a, b (arrays, or {n, mean, sd}, or {n, sum, sum_sq})",
        source: "Welch 1947, Satterthwaite",
        run: arms::welch,
    },
];
