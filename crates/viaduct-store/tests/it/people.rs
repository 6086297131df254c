//! People, tokens, sessions.

use viaduct_base::*;
use viaduct_store::session::{self, SessionRow};
use viaduct_store::token::{self, TokenRow};
use viaduct_store::user::{self, UserRow};
use viaduct_store::{Scope, StoreError};

use crate::world::{World, at, store_contract};

store_contract!(users, tokens, sessions);

fn new_user(scope: &Scope, name: &str) -> UserRow {
    UserRow {
        id: UserId::new(at(0)),
        workspace_id: scope.workspace,
        name: name.to_owned(),
        role: "member".to_owned(),
        password_hash: Some("$argon2id$…".to_owned()),
        created_at: at(0),
        created_by: None,
        signed_in_at: None,
        disabled_at: None,
        revision: 1,
    }
}

fn users(world: World) {
    let scope = world.scope;
    assert_eq!(world.read(user::count), Ok(0));
    let bea = new_user(&scope, "bea");
    let (row, id) = (bea.clone(), bea.id);
    world.write(move |tx| user::insert(tx, &row)).unwrap();
    let twin = new_user(&scope, "bea");
    let error = world.write(move |tx| user::insert(tx, &twin)).unwrap_err();
    assert!(error.is_unique("user_account", "name"), "{error:?}");
    assert_eq!(world.read(|tx| user::find_by_name(tx, "bea")), Ok(Some(bea)));

    world
        .write(move |tx| {
            user::set_password(tx, &scope, id, 1, "new")?;
            user::set_signed_in(tx, &scope, id, at(5))?;
            user::set_disabled(tx, &scope, id, 2, Some(at(6)))
        })
        .unwrap();
    let lost = world.write(move |tx| user::set_password(tx, &scope, id, 1, "late"));
    assert!(matches!(lost, Err(StoreError::Conflict { noun: "user", .. })));
    let found = world.read(move |tx| user::find_by_id(tx, id)).unwrap().unwrap();
    assert_eq!(found.password_hash.as_deref(), Some("new"));
    assert_eq!((found.signed_in_at, found.disabled_at), (Some(at(5)), Some(at(6))));
    assert_eq!(world.read(user::count), Ok(1));

    // Another workspace neither lists nor changes them.
    let other = Scope::of(WorkspaceId::new(at(1)));
    assert_eq!(world.read(move |tx| user::list(tx, &other)), Ok(vec![]));
    let foreign = world.write(move |tx| user::set_disabled(tx, &other, id, 3, None));
    assert!(matches!(foreign, Err(StoreError::Conflict { .. })));
}

fn tokens(world: World) {
    let scope = world.scope;
    let owner = new_user(&scope, "ana");
    let row = TokenRow {
        id: TokenId::new(at(0)),
        workspace_id: scope.workspace,
        user_id: owner.id,
        name: "laptop".to_owned(),
        secret_hash: "h1".to_owned(),
        created_at: at(0),
        expires_at: Some(at(100)),
        used_at: None,
        revoked_at: None,
    };
    let (id, user_id, put) = (row.id, owner.id, row.clone());
    world
        .write(move |tx| {
            user::insert(tx, &owner)?;
            token::insert(tx, &put)
        })
        .unwrap();
    assert_eq!(world.read(|tx| token::find_by_secret(tx, "h1")), Ok(Some(row)));
    assert_eq!(world.read(|tx| token::find_by_secret(tx, "h2")), Ok(None));
    world.write(move |tx| token::set_used(tx, id, at(3))).unwrap();
    assert_eq!(world.write(move |tx| token::revoke(tx, &scope, id, at(4))), Ok(true));
    assert_eq!(world.write(move |tx| token::revoke(tx, &scope, id, at(5))), Ok(false));
    let listed = world.read(move |tx| token::list(tx, &scope, user_id)).unwrap();
    assert_eq!(
        (listed.len(), listed[0].used_at, listed[0].revoked_at),
        (1, Some(at(3)), Some(at(4)))
    );
    assert!(world.read(move |tx| token::find(tx, &scope, id)).unwrap().is_some());
}

fn sessions(world: World) {
    let scope = world.scope;
    let owner = new_user(&scope, "tom");
    let user_id = owner.id;
    world.write(move |tx| user::insert(tx, &owner)).unwrap();
    let session = move |secret: &str, expires: i64| SessionRow {
        id: SessionId::new(at(0)),
        workspace_id: scope.workspace,
        user_id,
        secret_hash: secret.to_owned(),
        csrf: "c".to_owned(),
        created_at: at(0),
        expires_at: at(expires),
        ended_at: None,
    };
    let (a, b, c) = (session("a", 10), session("b", 20), session("c", 30));
    let first = a.id;
    world
        .write(move |tx| [&a, &b, &c].into_iter().try_for_each(|s| session::insert(tx, s)))
        .unwrap();
    world.write(move |tx| session::end(tx, first, at(1))).unwrap();
    let found = world.read(|tx| session::find_by_secret(tx, "a")).unwrap().unwrap();
    assert_eq!(found.ended_at, Some(at(1)));
    assert_eq!(world.write(move |tx| session::end_all(tx, user_id, at(2))), Ok(2));
    assert_eq!(world.write(|tx| session::delete_old(tx, at(25))), Ok(2));
    assert!(world.read(|tx| session::find_by_secret(tx, "c")).unwrap().is_some());
}
