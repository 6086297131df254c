//! Where every page, form and file lives. Links are made here and nowhere else.

/// The portfolio, or the first-run page while there is nothing.
pub const HOME: &str = "/";
/// People and their roles.
pub const USERS: &str = "/users";
/// The form that signs somebody in.
pub const LOGIN: &str = "/login";
/// The form target that signs somebody out.
pub const LOGOUT: &str = "/logout";
/// The API browser.
pub const API: &str = "/api";
/// The OpenAPI document.
pub const OPENAPI: &str = "/api/openapi.json";

/// All experiments.
pub const EXPERIMENTS: &str = "/experiments";
/// All registered models.
pub const MODELS: &str = "/models";

/// The runs of an experiment.
pub fn experiment(id: &str) -> String {
    format!("{EXPERIMENTS}/{}", segment(id))
}

/// Runs of an experiment beside each other.
pub fn compare(experiment_id: &str) -> String {
    format!("{}/compare", experiment(experiment_id))
}

/// Form target: restore a deleted experiment.
pub fn restore_experiment(id: &str) -> String {
    format!("{}/restore", experiment(id))
}

/// A run.
pub fn run(id: &str) -> String {
    format!("/runs/{}", segment(id))
}

/// Form target: restore a deleted run.
pub fn restore_run(id: &str) -> String {
    format!("{}/restore", run(id))
}

/// A folder of a run's artifacts, on the run's page.
pub fn run_folder(id: &str, folder: &str) -> String {
    format!("{}?folder={}#artifacts", run(id), segment(folder))
}

/// A file among a run's artifacts.
pub fn run_file(id: &str, file: &str) -> String {
    format!("/get-artifact?run_uuid={}&path={}", segment(id), segment(file))
}

/// A registered model.
pub fn model(name: &str) -> String {
    format!("{MODELS}/{}", segment(name))
}

/// An address from outside that may become a link: a page on the web and nothing that runs.
pub fn outside(address: &str) -> Option<&str> {
    let is_web = ["https://", "http://"].iter().any(|scheme| {
        address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let is_clean = !address.chars().any(|c| c.is_control() || c.is_whitespace());
    (is_web && is_clean).then_some(address)
}

/// A project's page.
pub fn project(project: &str) -> String {
    format!("/projects/{}", segment(project))
}

/// A project's decisions.
pub fn decisions(project: &str) -> String {
    format!("/projects/{}/decisions", segment(project))
}

/// One decision.
pub fn decision(id: &str) -> String {
    format!("/decisions/{}", segment(id))
}

/// An endpoint's page.
pub fn endpoint(name: &str) -> String {
    format!("/endpoints/{}", segment(name))
}

/// One evaluation of a gate.
pub fn evaluation(id: &str) -> String {
    format!("/evaluations/{}", segment(id))
}

/// The CSV of a KPI's daily points.
pub fn kpi_csv(project: &str, kpi: &str) -> String {
    format!("/projects/{}/kpis/{}/points.csv", segment(project), segment(kpi))
}

/// The CSV of an endpoint's traffic.
pub fn traffic_csv(endpoint: &str) -> String {
    format!("/endpoints/{}/traffic.csv", segment(endpoint))
}

/// Form target: measure the project's facts now.
pub fn collect(project: &str) -> String {
    format!("/projects/{}/collect", segment(project))
}

/// Form target: ask for the next gate.
pub fn open_review(project: &str) -> String {
    format!("/projects/{}/reviews", segment(project))
}

/// Form target: sign a review.
pub fn sign_review(review: &str) -> String {
    format!("/reviews/{}/signatures", segment(review))
}

/// Form target: withdraw a review.
pub fn withdraw_review(review: &str) -> String {
    format!("/reviews/{}/withdraw", segment(review))
}

/// Form target: ask for a waiver.
pub fn ask_waiver(project: &str) -> String {
    format!("/projects/{}/waivers", segment(project))
}

/// Form target: approve a waiver.
pub fn approve_waiver(waiver: &str) -> String {
    format!("/waivers/{}/approve", segment(waiver))
}

/// Form target: make a consumer and its key.
pub fn consumers(endpoint: &str) -> String {
    format!("/endpoints/{}/consumers", segment(endpoint))
}

/// Form target: revoke a consumer's key.
pub fn revoke(endpoint: &str) -> String {
    format!("/endpoints/{}/revoke", segment(endpoint))
}

/// Form target: throw an endpoint's kill switch.
pub fn kill(endpoint: &str) -> String {
    format!("/endpoints/{}/kill", segment(endpoint))
}

/// Form target: take the kill switch back.
pub fn revive(endpoint: &str) -> String {
    format!("/endpoints/{}/revive", segment(endpoint))
}

/// Form target: ask an endpoint.
pub fn try_endpoint(endpoint: &str) -> String {
    format!("/endpoints/{}/try", segment(endpoint))
}

/// Form target: move a rollout.
pub fn move_rollout(rollout: &str) -> String {
    format!("/rollouts/{}/move", segment(rollout))
}

/// Form target: disable a user.
pub fn disable_user(user: &str) -> String {
    format!("/users/{}/disable", segment(user))
}

/// An embedded file; `file` is a name that carries its content hash.
pub fn asset(file: &str) -> String {
    format!("/static/{file}")
}

/// Where a search text leads at once: an id's page. `None` means: search the portfolio.
pub fn search_target(text: &str) -> Option<String> {
    let text = text.trim();
    let is_id = |prefix: &str| {
        text.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    if is_id("dec_") {
        Some(decision(text))
    } else if is_id("evl_") {
        Some(evaluation(text))
    } else if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        Some(run(text))
    } else {
        None
    }
}

/// Percent-encodes one path segment.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cannot_leave_their_place() {
        assert_eq!(project("a/../b?x=1#y"), "/projects/a%2F..%2Fb%3Fx%3D1%23y");
        assert_eq!(decision("dec_01"), "/decisions/dec_01");
    }

    #[test]
    fn only_pages_of_the_web_become_links() {
        assert!(outside("https://git.example/a.git").is_some());
        for bad in [
            "javascript:alert(1)",
            " javascript:x",
            "data:text/html,x",
            "//a",
            "/a",
            "",
            "https://a\nb",
            "file:///etc/passwd",
            "jAvAsCrIpT:https://x",
        ] {
            assert!(outside(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_pasted_id_leads_to_its_page() {
        let id = format!("dec_{}", "0".repeat(26));
        assert_eq!(search_target(&format!(" {id} ")), Some(format!("/decisions/{id}")));
        assert_eq!(search_target("term deposit"), None);
    }
}
