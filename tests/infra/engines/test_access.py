"""Which key is shown to whom."""

import secrets
from pathlib import Path

import pytest

from infra.engines.access import access_to, grpc_tls
from infra.settings import parse_address
from schemas.errors import SettingsError
from tests.infra.engines.builders import make_certificate, some_settings


def test_a_host_is_shown_its_own_key_and_the_others_the_common_one() -> None:
    settings = some_settings(api_key="common", api_keys="inner=k1 inner:9000=k2 https.example=k=3")
    urls = {"grpc://inner:8001/m": "k1", "grpc://inner:9000/m": "k2", "https://https.example/v1#m": "k=3", "grpc://other/m": "common"}
    assert {url: access_to(parse_address(url), settings).key for url in urls} == urls


def test_a_host_without_a_key_is_shown_none() -> None:
    assert access_to(parse_address("grpc://other/m"), some_settings(api_keys="inner=k1")).headers == {}
    assert access_to(parse_address("grpc://other/m"), some_settings(api_key=" ")).headers == {}


@pytest.mark.parametrize(
    "given", [{"api_keys": "planted-secret"}, {"api_keys": "=planted-secret"}, {"api_key": "planted\nsecret"}, {"api_key": "plantéd-secret"}]
)
def test_keys_that_cannot_be_are_refused_without_being_shown(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as told:
        access_to(parse_address("grpc://inner:8001/m"), some_settings(**given))
    assert "secret" not in str(told.value)


def test_settings_show_no_key() -> None:
    settings = some_settings(api_key="planted-secret", api_keys="host=planted-secret")
    assert "planted-secret" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_a_tls_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    with pytest.raises(SettingsError, match="GRISTMILL_TLS_KEY is set without GRISTMILL_TLS_CERT"):
        grpc_tls(some_settings(tls_ca=certificate, tls_key=key))


def test_tls_files_that_do_not_go_together_are_refused_before_grpc_sees_them(tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path)
    (tmp_path / "other").mkdir()
    _, other_key = make_certificate(tmp_path / "other")
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text(f"-----BEGIN CERTIFICATE-----\n{secrets.token_hex(20)}\n-----END CERTIFICATE-----\n", encoding="ascii")
    for given in ({"tls_cert": certificate, "tls_key": other_key}, {"tls_cert": rubbish, "tls_key": other_key}, {"tls_ca": rubbish}):
        with pytest.raises(SettingsError, match="can't be used"):
            grpc_tls(some_settings(**given))


def test_a_file_may_hold_certificate_and_key(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    taken = grpc_tls(some_settings(tls_ca=certificate, tls_cert=both))
    assert taken["private_key"] == taken["certificate_chain"] == both.read_bytes()
