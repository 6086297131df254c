"""The open door on loopback, and what shuts it."""

from conftest import free_port, run


def test_loopback_without_a_user_is_open_except_for_what_needs_a_name(server):
    assert server.get("/api/v1/projects").status == 200
    refused = server.post("/api/v1/projects/nothing/reviews")
    assert refused.status in (401, 403)
    assert refused.json()["type"].endswith("name-needed"), refused.text


def test_the_first_user_is_an_admin_and_shuts_the_door(server, people):
    refused = server.run("user", "add", "bea", "--password-stdin", stdin="correct horse battery")
    assert refused.code != 0 and "admin" in refused.err
    people.add("tom", "admin")
    closed = server.run("get", "projects")
    assert closed.code == 4
    assert "error[login-required]" in closed.err and "VIADUCT_TOKEN" in closed.err
    people.become("tom")
    assert server.run("get", "projects").code == 0
    assert "tom" in server.run("user", "list").ok().out


def test_a_password_is_never_an_argument(server):
    refused = server.run("user", "add", "tom", "--role", "admin")
    assert refused.code == 2 and "--password-stdin" in refused.err


def test_weak_passwords_are_refused(server):
    refused = server.run("user", "add", "tom", "--role", "admin", "--password-stdin", stdin="1234567")
    assert refused.code == 1 and "use 8 or more" in refused.err


def test_wrong_passwords_and_revoked_tokens_do_not_enter(server, people):
    people.add("tom", "admin")
    wrong = server.run("token", "create", "x", "--user", "tom", "--password-stdin", stdin="wrong horse battery")
    assert wrong.code == 4
    people.become("tom")
    made = server.run("token", "create", "second", "-o", "json").json()
    assert server.run("token", "revoke", made["id"]).code == 0
    server.token = made.get("token") or made.get("secret")
    assert server.run("get", "projects").code == 4


def test_a_disabled_user_is_out_at_once(server, people):
    people.add("tom", "admin")
    people.become("tom")
    people.add("bea")
    people.become("bea")
    assert server.run("get", "projects").code == 0
    assert server.run("user", "disable", "tom").code == 4
    people.become("tom")
    server.run("user", "disable", "bea").ok()
    people.become("bea")
    assert server.run("get", "projects").code == 4


def test_login_survives_a_restart_and_kill_9(server, people):
    people.add("tom", "admin")
    people.become("tom")
    server.kill9()
    server.start()
    assert server.run("whoami").ok().out.count("tom") >= 1


def test_with_a_user_it_may_listen_elsewhere(server, people, tmp_path):
    people.add("tom", "admin")
    server.stop()
    port = free_port()
    refused = run("server", "--data-dir", tmp_path / "other", "--listen", f"0.0.0.0:{port}", timeout=20)
    assert "there is no user" in refused.err
    server.listen = "0.0.0.0"
    server.start()
    assert server.get("/api/v1/projects").status == 401


def test_foreign_hosts_and_origins_are_refused_on_every_kind_of_route(server):
    for path in ("/", "/healthz", "/api/v1/projects", "/v2/health/live", "/api/2.0/mlflow/experiments/search"):
        refused = server.get(path, headers={"Host": "evil.example"})
        assert refused.status == 403, f"{path} answered {refused.status}"
    refused = server.post("/api/v1/apply", "x", headers={"Origin": "https://evil.example"})
    assert refused.status == 403

