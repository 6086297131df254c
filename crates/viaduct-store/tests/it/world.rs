//! One store on each engine, and rows to put into it.

use viaduct_base::*;
use viaduct_store::{DatabaseConfig, DatabaseUrl, Scope, Store, StoreError, Tx};
use viaduct_testkit::PgCluster;

/// A store of its own for a test, gone with it.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    fn on(url: DatabaseUrl, dir: tempfile::TempDir) -> Self {
        let store = Store::open(&DatabaseConfig { url }, dir.path()).unwrap();
        let workspace = store
            .read_blocking("test", |tx| viaduct_store::workspace::find_by_name(tx, "default"))
            .unwrap()
            .unwrap();
        Self { store, scope: Scope::of(workspace.id), dir }
    }

    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::on(DatabaseUrl::sqlite_in(dir.path()), dir)
    }

    pub(crate) fn postgres() -> Self {
        Self::on(DatabaseUrl::Postgres(postgres_url()), tempfile::tempdir().unwrap())
    }

    pub(crate) fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Tx) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.store.write_blocking("test", work)
    }

    pub(crate) fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Tx) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.store.read_blocking("test", work)
    }

    /// A project in the default workspace.
    pub(crate) fn project(&self, name: &str) -> ProjectId {
        let (row, scope) = (new_project(name), self.scope);
        let id = row.id;
        self.write(move |tx| viaduct_store::project::insert(tx, &scope, &row)).unwrap();
        id
    }
}

/// Fails, with the line that installs it, where there is no PostgreSQL.
pub(crate) fn postgres_url() -> String {
    PgCluster::shared().and_then(PgCluster::database).unwrap_or_else(|e| panic!("{e}"))
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000)
}

pub(crate) fn new_project(name: &str) -> viaduct_store::project::NewProject {
    viaduct_store::project::NewProject {
        id: ProjectId::new(at(0)),
        name: name.to_owned(),
        title: "A title with ümlaut and 'quotes'".to_owned(),
        tier: "T2".to_owned(),
        stage_since: at(0),
        spec_json: r#"{"a":1}"#.to_owned(),
        manifest: "a: 1\n".to_owned(),
        clock: "system".to_owned(),
        created_at: at(0),
        created_by: None,
        updated_at: at(0),
    }
}

/// Runs each named function as a test on both engines.
macro_rules! store_contract {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $test() { super::$test($crate::world::World::sqlite()); })+
        }
        mod postgres {
            $(#[test] fn $test() { super::$test($crate::world::World::postgres()); })+
        }
    };
}

pub(crate) use store_contract;
