//! The closed table of facts. A name that is not a row here does not exist.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use viaduct_base::nearest;

use super::Unit;
use crate::words::words;

words! {
    /// The kinds of things that facts are about.
    SubjectKind, "a subject" {
        /// The project as a whole.
        Project = "project",
        /// The people and the purpose in the project's file.
        Charter = "charter",
        /// One KPI.
        Kpi = "kpi",
        /// The trial plan in the project's file, registered or not.
        Plan = "plan",
        /// One version of the endpoint's contract.
        Contract = "contract",
        /// The model version behind the endpoint.
        ModelVersion = "model_version",
        /// The endpoint.
        Endpoint = "endpoint",
        /// One version of the decision rule.
        Rule = "rule",
        /// A registered trial.
        Trial = "trial",
        /// A department.
        Department = "department",
    }
}

words! {
    /// The parts of the platform that make facts.
    Producer, "a producer" {
        /// Evaluates KPIs daily and freezes their history.
        KpiCollector = "kpi_collector",
        /// Compares the entities of projects on one KPI.
        OverlapCollector = "overlap_collector",
        /// Computes power from measured traffic and variance.
        Planner = "planner",
        /// Turns a shadow effect into money.
        ValueCollector = "value_collector",
        /// Reads the contract beside the model's signature and the requests.
        ContractCollector = "contract_collector",
        /// Joins outcomes to decisions.
        OutcomeCollector = "outcome_collector",
        /// Scores the run's test rows with the registered model.
        ModelScorer = "model_scorer",
        /// Reruns a training in a clean place.
        Reproducer = "reproducer",
        /// Looks for inputs that know the future.
        LeakageProbe = "leakage_probe",
        /// Compares model and incumbent on the same cases.
        ShadowComparer = "shadow_comparer",
        /// Runs the rule over past decisions.
        RuleDryRun = "rule_dry_run",
        /// Reads who is active.
        PeopleCollector = "people_collector",
        /// Analyses registered trials.
        TrialAnalyst = "trial_analyst",
        /// Runs drills on endpoints.
        DrillRunner = "drill_runner",
    }
}

words! {
    /// The shape of a value.
    Shape, "a shape" {
        /// One number.
        Scalar = "a number",
        /// An estimate with its interval.
        Interval = "an interval",
        /// Yes or no.
        Flag = "a yes or no",
    }
}

/// A text that is not in the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a fact{hint}")]
pub struct UnknownFact {
    text: String,
    hint: String,
}

struct Row {
    text: &'static str,
    label: &'static str,
    subject: SubjectKind,
    also: &'static [SubjectKind],
    shape: Shape,
    unit: Unit,
    producer: Option<Producer>,
}

macro_rules! producer {
    (by $producer:ident) => {
        Some(Producer::$producer)
    };
    (later) => {
        None
    };
}

macro_rules! facts {
    ($($name:ident = $text:literal, $subject:ident, $shape:ident, $unit:ident,
       $how:ident $($producer:ident)? $(, also $($also:ident)+)?, $label:literal;)+) => {
        /// Every fact that a gate can read.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FactName { $(#[doc = $label] $name,)+ }

        impl FactName {
            /// Every fact, in the order of the gates.
            pub const ALL: &'static [FactName] = &[$(FactName::$name,)+];
        }

        static TABLE: &[Row] = &[$(Row {
            text: $text,
            label: $label,
            subject: SubjectKind::$subject,
            also: &[$($(SubjectKind::$also,)+)?],
            shape: Shape::$shape,
            unit: Unit::$unit,
            producer: producer!($how $($producer)?),
        },)+];
    };
}

// Name, subject, shape, unit, producer (`later`: nothing in this release makes it), other things
// whose change makes it stale, and what people read.
#[rustfmt::skip]
facts! {
    // === G1 ===
    KpiLiveShare = "kpi.live_share", Kpi, Scalar, Share, by KpiCollector, "share of days on which the KPI has a value";
    KpiBaselineWeeks = "kpi.baseline_weeks", Kpi, Scalar, Weeks, by KpiCollector, "weeks of KPI history before the start";
    KpiBaselineFrozenBeforeSelection = "kpi.baseline_frozen_before_selection", Kpi, Flag, Flag, by KpiCollector, "the history was frozen before units were chosen";
    KpiDoubleClaimOverlap = "kpi.double_claim_overlap", Kpi, Scalar, Share, by OverlapCollector, "share of entities that another project claims on the same KPI";
    PlanPowerAtBreakEven = "plan.power_at_break_even", Plan, Scalar, Share, by Planner, also Kpi, "power of the trial plan at the break-even effect";
    PlanWeeksNeeded = "plan.weeks_needed", Plan, Scalar, Weeks, by Planner, also Kpi, "weeks that the trial plan needs";
    ValueNpv24Lower80 = "value.npv24_lower80", ModelVersion, Scalar, Money, by ValueCollector, also Kpi Plan, "value of 24 months, lower end at 80 %";
    ContractSignatureCoverage = "contract.signature_coverage", Contract, Scalar, Share, by ContractCollector, also ModelVersion, "share of the model's inputs that the contract covers";
    ContractRequestPassShare = "contract.request_pass_share", Contract, Scalar, Share, by ContractCollector, "share of requests that met the contract";
    ContractClassifiedShare = "contract.classified_share", Contract, Scalar, Share, by ContractCollector, "share of contract fields with a classification";
    ContractPurposeApproved = "contract.purpose_approved", Contract, Flag, Flag, by ContractCollector, also Charter, "the project's purpose is among the contract's purposes";
    OutcomeJoinedShare = "outcome.joined_share", Endpoint, Scalar, Share, by OutcomeCollector, "share of past decisions whose outcome came back";
    OutcomeDelayP90Days = "outcome.delay_p90_days", Endpoint, Scalar, Days, by OutcomeCollector, "days until nine of ten outcomes are back";
    OutcomeDelayWithinPlan = "outcome.delay_within_plan", Endpoint, Flag, Flag, by OutcomeCollector, also Kpi, "outcomes come back within the KPI's maturity";
    ModelBeatsConstant = "model.beats_constant", ModelVersion, Interval, Number, by ModelScorer, "loss saved against a constant prediction";
    ModelBeatsSimple = "model.beats_simple", ModelVersion, Interval, Number, by ModelScorer, "loss saved against a simple model";
    ModelBeatsCurrentRule = "model.beats_current_rule", ModelVersion, Interval, Number, by ModelScorer, "loss saved against the current rule";
    ModelTimeSplit = "model.time_split", ModelVersion, Flag, Flag, by ModelScorer, "every test row is later than every training row";
    ModelReproduced = "model.reproduced", ModelVersion, Flag, Flag, by Reproducer, "a clean rerun of the training gave the same metric";
    ModelReproducedMetricGap = "model.reproduced_metric_gap", ModelVersion, Scalar, Share, by Reproducer, "relative gap between the rerun's metric and the recorded one";
    LeakageAfterDecisionFeatures = "leakage.after_decision_features", ModelVersion, Scalar, Count, by LeakageProbe, also Contract, "model inputs that are only known after the decision";
    LeakageMaxFeatureAuc = "leakage.max_feature_auc", ModelVersion, Scalar, Number, by LeakageProbe, also Contract, "largest AUC of a single input";
    LeakageIdOverlap = "leakage.id_overlap", ModelVersion, Scalar, Count, by LeakageProbe, "row ids that are in both training and test";
    ShadowPairedDifference = "shadow.paired_difference", ModelVersion, Interval, Number, by ShadowComparer, also Kpi Rule, "value per case of the model less the current process, on the same cases";
    ShadowDays = "shadow.days", ModelVersion, Scalar, Days, by ShadowComparer, also Rule, "days with shadow decisions";
    RuleDailyVolumeShareOfCapacity = "rule.daily_volume_share_of_capacity", Rule, Scalar, Share, by RuleDryRun, also ModelVersion, "busiest day's actions as a share of the team's capacity";
    RuleDryRunOk = "rule.dry_run_ok", Rule, Flag, Flag, by RuleDryRun, also ModelVersion, "the rule runs on the last days' decisions";
    OwnerPairActive = "owner.pair_active", Charter, Flag, Flag, by PeopleCollector, "business owner and technical owner are two people who signed in lately";

    // === G2 ===
    TrialVerdictPass = "trial.verdict_pass", Trial, Flag, Flag, by TrialAnalyst, "the registered decision rule says pass";
    TrialGrade = "trial.grade", Trial, Scalar, Grade, by TrialAnalyst, "evidence grade of the estimate";
    TrialEffect = "trial.effect", Trial, Interval, Number, by TrialAnalyst, "effect per unit of the model against business as usual";
    ValueNetAnnualLower95 = "value.net_annual_lower95", Trial, Scalar, Money, later, "net value of a year, lower end at 95 %";
    ValueNetAnnualLower80 = "value.net_annual_lower80", Trial, Scalar, Money, later, "net value of a year, lower end at 80 %";
    TrialSrmOk = "trial.srm_ok", Trial, Flag, Flag, by TrialAnalyst, "the arms have the sizes that the plan split asks for";
    TrialContaminationOk = "trial.contamination_ok", Trial, Flag, Flag, by TrialAnalyst, "less than 1 % of units were in two arms";
    TrialMissingOutcomesBalanced = "trial.missing_outcomes_balanced", Trial, Flag, Flag, by TrialAnalyst, "both arms miss equally many outcomes";
    TrialRegisteredBeforeExposure = "trial.registered_before_exposure", Trial, Flag, Flag, by TrialAnalyst, "the plan was registered before the first exposure";
    ModelOfflineOnlineAgreement = "model.offline_online_agreement", Project, Scalar, Share, later, "share of versions whose offline and online effects have the same sign";
    DataContractPassShare = "data.contract_pass_share", Contract, Scalar, Share, later, "share of runs that met the contract";
    DataFreshnessShare = "data.freshness_share", Contract, Scalar, Share, later, "share of time in which the data was fresh enough";
    DataUnresolvedBreakingChanges = "data.unresolved_breaking_changes", Contract, Scalar, Count, later, "breaking changes of the data nobody resolved";
    SkewMaxFeaturePsi = "skew.max_feature_psi", ModelVersion, Scalar, Number, later, "largest PSI of an input between training and serving";
    SkewMissingRateDelta = "skew.missing_rate_delta", ModelVersion, Scalar, Share, later, "largest change of a missing rate between training and serving";
    LineageCompleteShare = "lineage.complete_share", ModelVersion, Scalar, Share, later, "share of inputs with a path from version to contract";
    DrillSchemaChangeStopped = "drill.schema_change_stopped", Endpoint, Flag, Flag, by DrillRunner, "the drill's changed column was stopped at the contract";
    DrillSchemaChangeFallbackServed = "drill.schema_change_fallback_served", Endpoint, Flag, Flag, by DrillRunner, "the drill's requests were answered by the fallback";
    DrillSchemaChangeAlertMinutes = "drill.schema_change_alert_minutes", Endpoint, Scalar, Minutes, by DrillRunner, "minutes until the drill's alert";
    SlicesWorstRelative = "slices.worst_relative", ModelVersion, Scalar, Number, later, "worst slice as a ratio of the overall metric";
    SlicesSelectionRatio = "slices.selection_ratio", ModelVersion, Interval, Number, later, "smallest ratio of selection rates between groups";
    CalibrationEce = "calibration.ece", ModelVersion, Scalar, Number, later, "expected calibration error";
    ScorePsiWeek = "score.psi_week", ModelVersion, Scalar, Number, later, "PSI of the scores from week to week";
    StalenessRetrainIntervalShare = "staleness.retrain_interval_share", ModelVersion, Scalar, Share, later, "retraining interval as a share of the time in which 5 % of the gain is lost";
    ConsumersExternalApplications = "consumers.external_applications", Endpoint, Scalar, Count, later, "applications outside the team that call";
    ConsumersExternalActiveDays = "consumers.external_active_days", Endpoint, Scalar, Count, later, "working days with calls from outside the team";
    LoopAcknowledgedShare = "loop.acknowledged_share", Endpoint, Scalar, Share, later, "share of actions acknowledged in time";
    LoopDeadLetterShare = "loop.dead_letter_share", Endpoint, Scalar, Share, later, "share of deliveries that died";
    LoopMaturedOutcomeShare = "loop.matured_outcome_share", Endpoint, Scalar, Share, later, "share of matured outcomes that came back";
    ServiceAvailability = "service.availability", Endpoint, Scalar, Share, later, "share of requests answered";
    ServiceP99WithinPlan = "service.p99_within_plan", Endpoint, Flag, Flag, later, "the slowest 1 % of answers stay within the plan";
    ServiceErrorBudgetLeft = "service.error_budget_left", Endpoint, Scalar, Share, later, "error budget that is left";
    LoadP99WithinPlan = "load.p99_within_plan", Endpoint, Flag, Flag, later, "answers stay within the plan at twice the forecast peak";
    LoadErrorShare = "load.error_share", Endpoint, Scalar, Share, later, "share of errors at twice the forecast peak";
    LoadOutOfMemoryCount = "load.out_of_memory_count", Endpoint, Scalar, Count, later, "times the load test ran out of memory";
    DrillRollbackMinutes = "drill.rollback_minutes", Endpoint, Scalar, Minutes, by DrillRunner, "minutes that the rollback drill took";
    DrillFallbackAnsweredShare = "drill.fallback_answered_share", Endpoint, Scalar, Share, by DrillRunner, "share of requests the fallback answered in the drill";
    AutomationHandsOffRuns = "automation.hands_off_runs", Project, Scalar, Count, later, "scheduled runs in a row without a manual step";
    DrillDriftAlarmAcknowledged = "drill.drift_alarm_acknowledged", Endpoint, Flag, Flag, later, "the injected drift raised an alarm that was acknowledged";
    DrillLatencyAlarmAcknowledged = "drill.latency_alarm_acknowledged", Endpoint, Flag, Flag, later, "the injected latency raised an alarm that was acknowledged";
    DrillMissingDataAlarmAcknowledged = "drill.missing_data_alarm_acknowledged", Endpoint, Flag, Flag, later, "the injected missing data raised an alarm that was acknowledged";
    ArtifactSignatureVerified = "artifact.signature_verified", ModelVersion, Flag, Flag, later, "the artifact's signature is verified at load";
    ArtifactSbomPresent = "artifact.sbom_present", ModelVersion, Flag, Flag, later, "the artifact has a bill of materials";
    ArtifactPickleFree = "artifact.pickle_free", ModelVersion, Flag, Flag, later, "no pickle-like format is served";
    ArtifactCriticalCveAgeDays = "artifact.critical_cve_age_days", ModelVersion, Scalar, Days, later, "age of the oldest open critical vulnerability";
    CostPerDecisionShareOfPlan = "cost.per_decision_share_of_plan", Project, Scalar, Share, later, "cost of a decision as a share of the plan";
    CostMonthForecastShareOfBudget = "cost.month_forecast_share_of_budget", Project, Scalar, Share, later, "the month's forecast cost as a share of the budget";
    OwnershipReceivingTeamDeploys = "ownership.receiving_team_deploys", Charter, Scalar, Count, later, "last deploys done by the receiving team";
    OwnershipReceivingTeamDrills = "ownership.receiving_team_drills", Charter, Scalar, Count, later, "last drills done by the receiving team";
    OncallAcknowledgeMinutes = "oncall.acknowledge_minutes", Charter, Scalar, Minutes, later, "minutes until the test page was acknowledged";
    OncallPeople = "oncall.people", Charter, Scalar, Count, later, "people on the rota";
    OwnershipDistinctContributors = "ownership.distinct_contributors", Charter, Scalar, Count, later, "people with a merged change or a deploy";
    CostOwnerActive = "cost.owner_active", Charter, Flag, Flag, later, "the cost owner is active";
    CostBudgetOverForecast = "cost.budget_over_forecast", Project, Scalar, Number, later, "monthly budget as a multiple of the forecast";
    PeopleWalkthroughShare = "people.walkthrough_share", Department, Scalar, Share, later, "share of target users who finished the walk-through";
    PeopleWeeklyActiveShare = "people.weekly_active_share", Department, Scalar, Share, later, "share of target users active in the week";
    PeopleActiveSlopePerWeek = "people.active_slope_per_week", Department, Scalar, Share, later, "change of the active share per week";
    PeopleCoverage = "people.coverage", Department, Scalar, Share, later, "share of eligible cases that were scored";
    OverrideRate = "override.rate", Endpoint, Interval, Share, later, "share of decisions that people overrode";

    // === G3 ===
    RepeatDepartments = "repeat.departments", Project, Scalar, Count, later, "departments with an estimate of grade A or B";
    RepeatPredictionInterval = "repeat.prediction_interval", Project, Interval, Number, later, "effect to expect in the next department";
    RealisedShareOfProjected = "realised.share_of_projected", Project, Scalar, Share, later, "realised value as a share of the projected one";
    RealisedHoldoutAlive = "realised.holdout_alive", Project, Flag, Flag, later, "the holdout is alive";
    ValuePaybackMonths = "value.payback_months", Project, Scalar, Months, later, "months until the discounted cost is paid back";
    RolloutRandomisedOrderRegistered = "rollout.randomised_order_registered", Project, Flag, Flag, later, "a randomised order of the remaining departments is registered";
    ReuseTemplateShare = "reuse.template_share", Project, Scalar, Share, later, "share of parts that come from the shared template unchanged";
    OnboardingDaysSlope = "onboarding.days_slope", Project, Scalar, Number, later, "change of the onboarding time from department to department, in days";
    OnboardingLastWorkingDays = "onboarding.last_working_days", Project, Scalar, Days, later, "working days the last department took to its first live decision";
    PopulationMaxPsi = "population.max_psi", Department, Scalar, Number, later, "largest PSI of an input between the new department and training";
    ServiceAvailability90d = "service.availability_90d", Endpoint, Scalar, Share, later, "share of requests answered over 90 days";
    LoadEnterpriseOk = "load.enterprise_ok", Endpoint, Flag, Flag, later, "the load test at twice the enterprise forecast passed";
    LoadNoisyNeighbourIncrease = "load.noisy_neighbour_increase", Endpoint, Scalar, Share, later, "rise of the slowest answers while a neighbour is at three times its load";
    RecoveryRpoWithinPlan = "recovery.rpo_within_plan", Project, Flag, Flag, later, "the restore drill lost no more than the plan allows";
    RecoveryRtoWithinPlan = "recovery.rto_within_plan", Project, Flag, Flag, later, "the restore drill took no longer than the plan allows";
    RetrainingAutomaticShare = "retraining.automatic_share", Project, Scalar, Share, later, "share of promotions inside the change envelope without people";
    RetrainingInjectedCaughtShare = "retraining.injected_caught_share", Project, Scalar, Share, later, "share of injected bad versions that the canary caught";
    OncallHoursAgreed = "oncall.hours_agreed", Charter, Flag, Flag, later, "hours of operation are covered or agreed";
    OncallMttaMinutes = "oncall.mtta_minutes", Charter, Scalar, Minutes, later, "mean minutes until an incident is acknowledged";
    OncallMttrHours = "oncall.mttr_hours", Charter, Scalar, Hours, later, "mean hours until an incident is resolved";
    OncallOpenSevereIncidents = "oncall.open_severe_incidents", Charter, Scalar, Count, later, "open incidents of severity 1 or 2";
    PeopleWorstDepartmentCoverage = "people.worst_department_coverage", Project, Scalar, Share, later, "coverage in the worst department";
    PeopleWorstDepartmentActiveShare = "people.worst_department_active_share", Project, Scalar, Share, later, "active share in the worst department";
    DocumentationGeneratedShare = "documentation.generated_share", Project, Scalar, Share, later, "share of generated fields that are filled";
    DocumentationHumanFieldsSigned = "documentation.human_fields_signed", Project, Flag, Flag, later, "the fields that people write are signed";
    DocumentationCurrent = "documentation.current", ModelVersion, Flag, Flag, later, "the documents are of the served version";
    ConcentrationDecisionShare = "concentration.decision_share", Project, Scalar, Share, later, "largest share of the enterprise's decisions on one model, source or vendor";
    ConcentrationCovered = "concentration.covered", Project, Flag, Flag, later, "the concentration is at most 30 %, or the fallback is proven";
    SecurityReviewAgeDays = "security.review_age_days", Project, Scalar, Days, later, "age of the penetration test or threat model";
    SecurityAccessReviewAgeDays = "security.access_review_age_days", Project, Scalar, Days, later, "age of the access review";
    SecuritySecretAgeDays = "security.secret_age_days", Project, Scalar, Days, later, "age of the oldest secret";
}

impl FactName {
    // Invariant: the table and the enum come from one macro, so the index is always inside.
    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Its text: `kpi.live_share`.
    pub fn as_str(self) -> &'static str {
        self.row().text
    }

    /// What people read: `share of days on which the KPI has a value`.
    pub fn label(self) -> &'static str {
        self.row().label
    }

    /// The kind of thing it is about.
    pub fn subject_kind(self) -> SubjectKind {
        self.row().subject
    }

    /// Other things it was computed from: a change of one of them makes it stale too.
    pub fn also_depends_on(self) -> &'static [SubjectKind] {
        self.row().also
    }

    /// The shape of its value.
    pub fn shape(self) -> Shape {
        self.row().shape
    }

    /// Its unit.
    pub fn unit(self) -> Unit {
        self.row().unit
    }

    /// Which part of the platform makes it; nothing when that comes with a later release.
    pub fn producer(self) -> Option<Producer> {
        self.row().producer
    }
}

impl fmt::Display for FactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FactName {
    type Err = UnknownFact;
    /// Refuses a text that is not in the table, naming the nearest one that is.
    fn from_str(text: &str) -> Result<Self, UnknownFact> {
        let found = FactName::ALL.iter().copied().find(|name| name.as_str() == text);
        found.ok_or_else(|| UnknownFact {
            text: text.chars().take(80).collect(),
            hint: nearest(text, FactName::ALL.iter().map(|name| name.as_str()))
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default(),
        })
    }
}

impl Serialize for FactName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FactName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_is_closed() {
        for name in FactName::ALL {
            assert_eq!(name.as_str().parse::<FactName>().unwrap(), *name);
            let json = serde_json::to_string(name).unwrap();
            assert_eq!(serde_json::from_str::<FactName>(&json).unwrap(), *name);
        }
        let error = "kpi.live_shares".parse::<FactName>().unwrap_err().to_string();
        assert_eq!(error, "`kpi.live_shares` is not a fact; did you mean `kpi.live_share`?");
        assert!(serde_json::from_str::<FactName>("\"kpi.mood\"").is_err());
        assert!("".parse::<FactName>().is_err());
    }

    #[test]
    fn rows_are_unique_and_in_form() {
        let texts: BTreeSet<_> = FactName::ALL.iter().map(|name| name.as_str()).collect();
        let labels: BTreeSet<_> = FactName::ALL.iter().map(|name| name.label()).collect();
        assert_eq!((texts.len(), labels.len()), (FactName::ALL.len(), FactName::ALL.len()));
        for name in FactName::ALL {
            let form = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c);
            assert!(name.as_str().chars().all(form), "{name}");
            assert_eq!(name.unit() == Unit::Flag, name.shape() == Shape::Flag, "{name}");
            assert!(!name.also_depends_on().contains(&name.subject_kind()), "{name}");
        }
    }

    #[test]
    fn every_producer_makes_something() {
        let used: BTreeSet<_> = FactName::ALL.iter().filter_map(|name| name.producer()).collect();
        assert_eq!(used.len(), Producer::ALL.len());
    }
}
