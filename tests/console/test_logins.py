"""Login links and session cookies."""

from lakelet.node.logins import COOKIE_NAME, LINK_SECONDS, SESSION_SECONDS, Logins, login_path
from lakelet.node.logins import set_cookie as cookie_header
from lakelet.testing.clock import ManualClock


def link(token: str, clock: ManualClock) -> str:
    return login_path(token, clock).removeprefix("/login?token=")


def test_a_link_works_once():
    clock = ManualClock()
    logins, made = Logins("secret", clock), link("secret", clock)
    cookie = logins.redeem(made)
    assert cookie and logins.has_session(f"other=1; {COOKIE_NAME}={cookie}")
    assert logins.redeem(made) is None
    assert logins.redeem(link("secret", clock))


def test_links_and_sessions_end():
    clock = ManualClock()
    logins, late = Logins("secret", clock), link("secret", clock)
    cookie = logins.redeem(link("secret", clock))
    clock.advance(LINK_SECONDS + 1)
    assert logins.redeem(late) is None
    assert logins.has_session(f"{COOKIE_NAME}={cookie}")
    clock.advance(SESSION_SECONDS)
    assert not logins.has_session(f"{COOKIE_NAME}={cookie}")


def test_what_is_not_signed_by_this_node_opens_nothing():
    clock = ManualClock()
    logins = Logins("secret", clock)
    cookie = logins.redeem(link("secret", clock)) or ""
    for forged in ("", "x", "1.2.3", link("another", clock), cookie, "9e99.x." + "0" * 40, "é.é.é"):
        assert logins.redeem(forged) is None
    for forged in ("", f"{COOKIE_NAME}=", f"{COOKIE_NAME}={link('secret', clock)}", "\x00;;="):
        assert not logins.has_session(forged)
    assert not Logins("secret", clock).has_session(f"{COOKIE_NAME}={cookie}")  # after a restart
    tampered = cookie.replace(cookie[0], "1" if cookie[0] != "1" else "2", 1)
    assert not logins.has_session(f"{COOKIE_NAME}={tampered}")


def test_the_token_is_in_no_link():
    assert "secret" not in login_path("secret", ManualClock())


def test_cookies_are_kept_from_scripts_and_other_sites():
    header = cookie_header("v", secure=True)
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/"} <= set(header.split("; "))
    assert "Secure" not in cookie_header("v", secure=False)


def test_scripts_show_the_nodes_token():
    logins = Logins("secret", ManualClock())
    assert logins.is_token("Bearer secret")
    assert not logins.is_token("Bearer other") and not logins.is_token("")
