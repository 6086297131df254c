//! Applies a project file: compare, write, publish. The same file twice changes nothing.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use viaduct_base::{
    ContractId, Error, Fault, Kind, KpiId, ProjectId, Refusal, Timestamp, digest_json,
};
use viaduct_domain::manifest::{self, Change, Known, ProjectSpec, Section};
use viaduct_domain::permission::{Caller, Door, Operation, Who};
use viaduct_domain::tier::{Tier, tier};
use viaduct_store::project::{NewProject, SpecChange};
use viaduct_store::{
    Scope, Tx, contract, endpoint, kpi, kpi_history, mlflow, project, section, trial, user,
};

use super::load;
use crate::App;
use crate::audit::Deed;
use crate::endpoint::{fresh_row, write_spec};

/// What `apply` did, or would do.
#[derive(Debug, Clone, Serialize)]
pub struct Applied {
    /// The project's name.
    pub project: String,
    /// Whether it is new.
    pub created: bool,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// What differs from what was there.
    pub changes: Vec<Change>,
    /// What the file names that does not exist yet, and what gates will ask for.
    pub warnings: Vec<String>,
    /// The computed tier and why.
    pub tier: String,
}

/// Sections whose changes make facts stale, with the key under which they are noted.
const SECTIONS: [(&str, Section); 6] = [
    ("charter", Section::Charter),
    ("kpis", Section::Kpis),
    ("endpoint", Section::Endpoint),
    ("contract", Section::Contract),
    ("rule", Section::Rule),
    ("trial", Section::Trial),
];

impl App {
    /// Applies the text of a project file.
    ///
    /// # Errors
    /// `invalid-manifest` with line and column; `stage-forbids` for a project that has ended;
    /// `already-exists` for an endpoint of another project.
    pub async fn apply_project(
        &self,
        caller: &Caller,
        text: String,
        dry_run: bool,
    ) -> Result<Applied, Error> {
        let scope = self.authorise(caller, Operation::ApplyProject)?;
        let spec = manifest::parse(&text)?;
        let (tier, why) = computed_tier(&spec)?;
        let known = self.known(&scope, &spec).await?;
        let mut applied = Applied {
            project: spec.name.to_string(),
            created: false,
            dry_run,
            changes: Vec::new(),
            warnings: spec.warnings(&known),
            tier: format!("{tier}: {why}"),
        };
        let (app, caller, now) = (self.clone(), caller.clone(), self.now());
        let write = Write { app, caller, scope, spec, tier, text, now };
        let (created, changes) = if dry_run {
            self.store().read("diff_project", move |tx| write.compare(tx)).await?
        } else {
            let done = self.store().write("apply_project", move |tx| write.run(tx)).await?;
            self.ring();
            // Why before the answer: whoever applied may ask the endpoint at once.
            if !done.1.is_empty() {
                self.settle_endpoints().await;
            }
            done
        };
        (applied.created, applied.changes) = (created, changes);
        Ok(applied)
    }

    async fn known(&self, scope: &Scope, spec: &ProjectSpec) -> Result<Known, Error> {
        let (scope, spec) = (*scope, spec.clone());
        self.store()
            .read("list_known", move |tx| -> Result<Known, Error> {
                let people = user::list(tx, &scope)?;
                let users = people
                    .into_iter()
                    .filter(|u| u.disabled_at.is_none())
                    .map(|u| u.name)
                    .collect();
                let mut models = BTreeSet::new();
                if let Some(endpoint) = &spec.endpoint {
                    let name = &endpoint.model.name;
                    if mlflow::registry::find_model(tx, &scope, name)?.is_some() {
                        models.insert(name.clone());
                    }
                    for alias in mlflow::registry::list_aliases(tx, &scope, name)? {
                        models.insert(format!("{name}@{}", alias.alias));
                    }
                    for version in mlflow::registry::list_versions(tx, &scope, name)? {
                        models.insert(format!("{name}/{}", version.version));
                    }
                }
                let mut files = BTreeSet::new();
                if let Some(row) = project::find_by_name(tx, &scope, spec.name.as_str())? {
                    for known in kpi::list(tx, &scope, row.id)? {
                        let loaded = !kpi_history::list(tx, &scope, known.id)?.is_empty();
                        let named = spec.kpis.iter().find(|k| k.name.as_str() == known.name);
                        let file = named.and_then(|k| k.baseline.as_ref()?.file.clone());
                        files.extend(file.filter(|_| loaded));
                    }
                }
                Ok(Known { users, models, files })
            })
            .await
    }
}

/// A file without `tier` is treated as the strictest: what nobody looked at is not harmless.
fn computed_tier(spec: &ProjectSpec) -> Result<(Tier, String), Refusal> {
    match &spec.tier {
        Some(inputs) => tier(inputs),
        None => Ok((Tier::T1, "the file says nothing of exposure and purpose".to_owned())),
    }
}

struct Write {
    app: App,
    caller: Caller,
    scope: Scope,
    spec: ProjectSpec,
    tier: Tier,
    text: String,
    now: Timestamp,
}

impl Write {
    fn compare(&self, tx: &mut Tx) -> Result<(bool, Vec<Change>), Error> {
        match project::find_by_name(tx, &self.scope, self.spec.name.as_str())? {
            None => Ok((true, manifest::created(&self.spec))),
            Some(_) => {
                let old = load(tx, &self.scope, self.spec.name.as_str())?;
                Ok((false, manifest::diff(&old.spec, &self.spec)))
            }
        }
    }

    fn run(&self, tx: &mut Tx) -> Result<(bool, Vec<Change>), Error> {
        let (created, changes) = self.compare(tx)?;
        let id = if created { self.insert(tx)? } else { self.update(tx, &changes)? };
        if changes.is_empty() {
            return Ok((created, changes));
        }
        self.note_sections(tx, id)?;
        self.write_kpis(tx, id)?;
        let contract = self.write_contract(tx, id)?;
        self.write_endpoint(tx, id, contract)?;
        let paths: Vec<&str> = changes.iter().map(|c| c.path.as_str()).take(50).collect();
        let deed = Deed {
            action: if created { "project.created" } else { "project.changed" },
            object_kind: "project",
            object_id: &id.to_string(),
            project: Some(id),
            detail: json!({ "name": self.spec.name, "changed": paths }),
        };
        self.app.record(tx, &self.caller, self.now, &deed)?;
        self.app.enqueue(tx, "bind_models", &json!({}), "bind_models")?;
        let payload = json!({ "project": id });
        self.app.enqueue(tx, "measure_project", &payload, &format!("measure:{id}"))?;
        Ok((created, changes))
    }

    fn spec_json(&self) -> Result<String, Error> {
        serde_json::to_string(&self.spec)
            .map_err(|e| Fault::caused("write a project file as JSON", e).into())
    }

    fn insert(&self, tx: &mut Tx) -> Result<ProjectId, Error> {
        let id = ProjectId::new(self.now);
        let created_by = match &self.caller.who {
            Who::User { id, .. } => Some(*id),
            Who::Anonymous | Who::System => None,
        };
        let row = NewProject {
            id,
            name: self.spec.name.to_string(),
            title: self.spec.title.clone(),
            tier: self.tier.to_string(),
            stage_since: self.now,
            spec_json: self.spec_json()?,
            manifest: self.text.clone(),
            clock: self.app.clock_word().to_owned(),
            created_at: self.now,
            created_by,
            updated_at: self.now,
        };
        project::insert(tx, &self.scope, &row)?;
        self.app.write_schedule(tx, id, self.now)?;
        Ok(id)
    }

    fn update(&self, tx: &mut Tx, changes: &[Change]) -> Result<ProjectId, Error> {
        let old = load(tx, &self.scope, self.spec.name.as_str())?;
        if changes.is_empty() {
            return Ok(old.id);
        }
        if !old.standing.stage.is_live() {
            let detail = format!(
                "`{}` is {}: its file is history; start a new project",
                old.name(),
                old.standing.stage
            );
            return Err(Refusal::new(Kind::StageForbids, detail).into());
        }
        self.refuse_lower_tier(&old)?;
        self.refuse_under_trial(tx, &old, changes)?;
        let change = SpecChange {
            title: self.spec.title.clone(),
            tier: self.tier.to_string(),
            spec_json: self.spec_json()?,
            manifest: self.text.clone(),
            at: self.now,
        };
        project::update_spec(tx, &self.scope, old.at(), &change)?;
        Ok(old.id)
    }

    /// Anybody may raise the tier; a lower one is the second line's word, which the charter as it
    /// stands names.
    fn refuse_lower_tier(&self, old: &super::Project) -> Result<(), Error> {
        let partner = old.spec.charter.risk_partner.as_ref().map(|name| name.as_str());
        let by_partner = partner.is_some() && self.caller.user_name() == partner;
        // While the door is open nobody has a name, and no gate can open.
        if self.tier <= old.tier || by_partner || self.caller.door == Door::Open {
            return Ok(());
        }
        let detail = format!(
            "the file lowers the tier from `{}` to `{}`: {} applies that",
            old.tier,
            self.tier,
            partner
                .map_or("a risk partner, whom the charter must name first,".to_owned(), |name| {
                    format!("the risk partner `{name}`")
                })
        );
        Err(Refusal::new(Kind::Forbidden, detail).into())
    }

    /// Until a trial's one look, what it compares stands still, its rule and KPI too: otherwise the
    /// estimate would be of something that nobody registered.
    fn refuse_under_trial(
        &self,
        tx: &mut Tx,
        old: &super::Project,
        changes: &[Change],
    ) -> Result<(), Error> {
        let running = trial::list(tx, &self.scope, old.id)?
            .into_iter()
            .find(|row| row.stopped_at.is_none() && self.now < row.looks_at);
        let Some(running) = running else { return Ok(()) };
        let fixed = ["rule", "contract", "endpoint", "kpis"];
        let touched = changes.iter().find_map(|change| {
            let path = change.path.trim_start_matches('/');
            fixed.into_iter().find(|section| path.starts_with(section))
        });
        match touched {
            Some(section) => {
                let detail = format!(
                    "the trial `{}` is looked at on {}: `{section}` stays as it was registered until then",
                    running.name, running.looks_at
                );
                Err(Refusal::new(Kind::StageForbids, detail).into())
            }
            None => Ok(()),
        }
    }

    fn note_sections(&self, tx: &mut Tx, id: ProjectId) -> Result<(), Error> {
        let costs = digest_json(&self.spec.costs)
            .map_err(|e| Fault::caused("digest of the costs", e))?
            .to_string();
        let hashes = SECTIONS
            .iter()
            .map(|(key, section)| ((*key).to_owned(), self.spec.section_hash(*section).to_string()))
            .chain([("costs".to_owned(), costs)]);
        for (key, hash) in hashes {
            let row = section::SectionRow { section: key, hash, since: self.now };
            section::put(tx, &self.scope, id, &row)?;
        }
        Ok(())
    }

    fn write_kpis(&self, tx: &mut Tx, id: ProjectId) -> Result<(), Error> {
        for spec in &self.spec.kpis {
            let spec_json =
                serde_json::to_string(spec).map_err(|e| Fault::caused("write a KPI as JSON", e))?;
            let found = kpi::find_by_name(tx, &self.scope, id, spec.name.as_str())?;
            let is_new = found.is_none();
            let mut row = found.unwrap_or_else(|| kpi::KpiRow {
                id: KpiId::new(self.now),
                project_id: id,
                name: spec.name.to_string(),
                is_primary: spec.primary,
                spec_json: String::new(),
                created_at: self.now,
                updated_at: self.now,
                removed_at: None,
                frozen_at: None,
                frozen_by: None,
                frozen_hash: None,
                frozen_first_day: None,
                frozen_last_day: None,
                frozen_points: None,
                revision: 1,
            });
            let same = row.spec_json == spec_json && row.removed_at.is_none();
            row.spec_json = spec_json;
            row.is_primary = spec.primary;
            row.updated_at = self.now;
            row.removed_at = None;
            match (is_new, same) {
                (true, _) => kpi::insert(tx, &self.scope, &row)?,
                (false, true) => {}
                (false, false) => kpi::update_spec(tx, &self.scope, &row)?,
            }
        }
        for mut gone in kpi::list(tx, &self.scope, id)? {
            let named = self.spec.kpis.iter().any(|k| k.name.as_str() == gone.name);
            if !named && gone.removed_at.is_none() {
                gone.removed_at = Some(self.now);
                gone.updated_at = self.now;
                kpi::update_spec(tx, &self.scope, &gone)?;
            }
        }
        Ok(())
    }

    fn write_contract(&self, tx: &mut Tx, id: ProjectId) -> Result<Option<ContractId>, Error> {
        let Some(new) = &self.spec.contract else { return Ok(None) };
        let latest = contract::latest(tx, &self.scope, id, new.id())?;
        if let Some(row) = &latest
            && row.hash == new.hash().as_str()
        {
            return Ok(Some(row.id));
        }
        let row = contract::ContractRow {
            id: ContractId::new(self.now),
            project_id: id,
            name: new.id().to_owned(),
            version: latest.map_or(1, |row| row.version + 1),
            document_json: new.document().to_string(),
            hash: new.hash().to_string(),
            created_at: self.now,
            created_by: self.caller.user_name().map(str::to_owned),
        };
        contract::insert(tx, &self.scope, &row)?;
        Ok(Some(row.id))
    }

    fn write_endpoint(
        &self,
        tx: &mut Tx,
        id: ProjectId,
        contract_id: Option<ContractId>,
    ) -> Result<(), Error> {
        let rows = endpoint::list_by_project(tx, &self.scope, id)?;
        let wanted = self.spec.endpoint.as_ref();
        for mut old in rows.into_iter().filter(|row| row.removed_at.is_none()) {
            if wanted.is_none_or(|new| new.name.as_str() != old.name) {
                old.removed_at = Some(self.now);
                old.updated_at = self.now;
                endpoint::update(tx, &self.scope, &old)?;
            }
        }
        let Some(new) = wanted else { return Ok(()) };
        let found = endpoint::find_by_name(tx, &self.scope, new.name.as_str())?;
        if let Some(other) = found.as_ref().filter(|row| row.project_id != Some(id)) {
            let detail = format!(
                "the endpoint `{}` belongs to another project: choose another name",
                other.name
            );
            return Err(Refusal::new(Kind::AlreadyExists, detail).into());
        }
        let is_new = found.is_none();
        let mut row =
            found.unwrap_or_else(|| fresh_row(&self.scope, Some(id), new.name.as_str(), self.now));
        write_spec(&mut row, new, self.now)?;
        row.contract_id = contract_id;
        if is_new {
            endpoint::insert(tx, &row)?;
        } else {
            endpoint::update(tx, &self.scope, &row)?;
        }
        Ok(())
    }
}
