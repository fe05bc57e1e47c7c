"""The main job, from outside: hand a file in, see what is done to it, fetch the results."""

import hashlib
import io
import json
from pathlib import Path

import httpx2
from PIL import Image

from tests.stack import Stack, ended, until, upload

TEXT = b"first line\nan ERROR here\na warning there\nlast line\n"


def picture() -> bytes:
    """Return a photograph that says where it was taken."""
    target = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    Image.new("RGB", (800, 600), "teal").save(target, "JPEG", exif=exif)
    return target.getvalue()


def test_the_first_start_tells_how_to_sign_in(stack: Stack) -> None:
    path = stack.data / "first-login.json"
    assert path.stat().st_mode & 0o777 == 0o600
    facts = json.loads(path.read_text())
    assert facts["url"] == stack.url
    for name in ("admin", "demo"):
        assert set(facts[name]) == {"username", "password"}
        assert facts[name]["password"] in stack.output()


def test_nobody_else_can_look_into_the_data_folder(stack: Stack) -> None:
    assert stack.data.stat().st_mode & 0o077 == 0
    for path in stack.data.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_it_is_alive_and_ready(stack: Stack) -> None:
    with httpx2.Client(base_url=stack.url) as anybody:
        assert anybody.get("/healthz").json() == {"status": "alive"}
        answer = anybody.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert answer.json()["checks"]["worker"] == "ok"


def test_metrics_count_what_happens(stack: Stack, demo: httpx2.Client) -> None:
    body = upload(demo, "metrics.txt", TEXT)
    ended(demo, body["run"])
    metrics = httpx2.get(f"{stack.url}/metrics").text
    (line,) = (x for x in metrics.splitlines() if x.startswith('strongroom_uploads{state="succ'))
    assert float(line.split()[1]) >= 1


def test_a_text_goes_all_the_way(demo: httpx2.Client) -> None:
    body = upload(demo, "server.log", TEXT)
    assert body["name"] == "server.log"
    assert body["size"] == len(TEXT)
    assert body["sha256"] == hashlib.sha256(TEXT).hexdigest()
    assert body["media_type"] == "text/plain"

    run = ended(demo, body["run"])
    assert run["state"] == "succeeded"
    assert demo.get(f"/api/v1/uploads/{body['id']}/").json()["state"] == "succeeded"

    trace = demo.get(f"/api/v1/runs/{run['id']}/trace/").json()
    assert [record["state"] for record in trace] == ["succeeded"] * len(trace)
    steps = {record["step"]: record for record in trace}
    assert steps["checksum"]["output"] == {"sha256": body["sha256"], "size": len(TEXT)}
    assert all(record["duration_ms"] > 0 for record in trace)

    artifacts = [artifact for record in trace for artifact in record["artifacts"]]
    assert artifacts
    for artifact in artifacts:
        content = demo.get(artifact["content_url"]).content
        assert len(content) == artifact["size"]
        assert hashlib.sha256(content).hexdigest() == artifact["sha256"]


def test_the_original_comes_back_whole_and_in_part(demo: httpx2.Client) -> None:
    content = bytes(range(256)) * 5000
    body = upload(demo, "numbers.bin", content)
    answer = demo.get(body["content_url"])
    assert answer.content == content
    assert answer.headers["Content-Disposition"].startswith("attachment")
    part = demo.get(body["content_url"], headers={"Range": "bytes=300000-300009"})
    assert part.status_code == 206
    assert part.content == content[300000:300010]


def test_a_picture_gets_a_thumbnail_without_metadata(demo: httpx2.Client) -> None:
    body = upload(demo, "holiday.jpg", picture())
    run = ended(demo, body["run"])
    assert run["state"] == "succeeded"
    trace = demo.get(f"/api/v1/runs/{run['id']}/trace/").json()
    (thumbnail,) = (a for r in trace for a in r["artifacts"] if a["name"] == "thumbnail.webp")
    content = demo.get(thumbnail["content_url"]).content
    assert Image.open(io.BytesIO(content)).format == "WEBP"
    assert b"taken at home" not in content


def test_a_file_runs_again_and_keeps_both_traces(demo: httpx2.Client) -> None:
    body = upload(demo, "again.txt", TEXT)
    first = ended(demo, body["run"])
    answer = demo.post(f"/api/v1/uploads/{body['id']}/runs/", json={})
    assert answer.status_code == 202
    second = ended(demo, answer.json()["id"])
    assert second["state"] == "succeeded"
    assert demo.get(f"/api/v1/uploads/{body['id']}/").json()["run"] == second["id"]
    for run in (first, second):
        assert demo.get(f"/api/v1/runs/{run['id']}/trace/").json()


def test_what_is_deleted_is_gone_with_all_that_was_made_of_it(
    stack: Stack, demo: httpx2.Client
) -> None:
    body = upload(demo, "forget.txt", TEXT)
    run = ended(demo, body["run"])
    trace = demo.get(f"/api/v1/runs/{run['id']}/trace/").json()
    urls = [body["content_url"], f"/api/v1/runs/{run['id']}/", f"/api/v1/uploads/{body['id']}/"]
    urls += [artifact["content_url"] for record in trace for artifact in record["artifacts"]]
    assert demo.delete(f"/api/v1/uploads/{body['id']}/").status_code == 204
    for url in urls:
        assert demo.get(url).status_code == 404, url


def test_what_belongs_to_another_does_not_exist(stack: Stack, demo: httpx2.Client) -> None:
    body = upload(demo, "mine.txt", TEXT)
    with stack.client("admin") as other:
        for url in (f"/api/v1/uploads/{body['id']}/", body["content_url"]):
            assert other.get(url).status_code == 404


def test_a_file_in_the_drop_folder_becomes_an_upload(stack: Stack, demo: httpx2.Client) -> None:
    folder = stack.drop_folder()
    (folder / "unprocessed" / "dropped.txt").write_bytes(TEXT)
    receipt_path = folder / "processed" / "dropped.txt.json"
    until(receipt_path.exists, within_s=60, what="receipt")
    receipt = json.loads(receipt_path.read_text())
    assert receipt["state"] == "succeeded"
    body = demo.get(f"/api/v1/uploads/{receipt['upload']}/").json()
    assert (body["name"], body["door"], body["state"]) == ("dropped.txt", "folder", "succeeded")
    assert demo.get(body["content_url"]).content == TEXT
    assert not list((folder / "unprocessed").iterdir())
    assert not list((folder / "underprocess").iterdir())


def test_a_name_that_is_no_text_can_be_listed(stack: Stack, demo: httpx2.Client) -> None:
    folder = stack.drop_folder()
    (folder / "unprocessed" / "caf\udce9.txt").write_bytes(TEXT)
    until(lambda: list((folder / "processed").glob("caf*.json")), within_s=60, what="receipt")
    names = [row["name"] for row in demo.get("/api/v1/uploads/").json()["results"]]
    assert any(name.startswith("caf") and name.endswith(".txt") for name in names)


def test_a_file_that_is_refused_in_the_drop_folder_says_why(stack: Stack) -> None:
    folder = stack.drop_folder()
    (folder / "unprocessed" / "link").symlink_to("/etc/passwd")
    (folder / "unprocessed" / "wake up.txt").write_bytes(TEXT)  # links alone are seen by the sweep
    receipt = folder / "failed" / "link.json"
    until(receipt.exists, within_s=60, what="receipt")
    assert json.loads(receipt.read_text())["code"] == "not_a_regular_file"


def test_no_plaintext_lies_in_the_data_folder(stack: Stack, demo: httpx2.Client) -> None:
    marker = hashlib.sha256(str(stack.port).encode()).hexdigest().encode()
    body = upload(demo, f"{marker.decode()}.txt", b"line\n" * 1000 + marker + b"\n")
    ended(demo, body["run"])
    control = stack.data / "run" / "control"
    control.write_bytes(b"\0" * 5000 + marker)
    assert holders_of(marker, stack.data) == {control}
    control.unlink()
    assert marker.decode() not in stack.output()


def holders_of(marker: bytes, folder: Path) -> set[Path]:
    """Return the files in `folder` that hold `marker` as it is, in hex or in base64."""
    import base64

    forms = [marker, marker.hex().encode()]
    forms += [base64.b64encode(b"x" * shift + marker)[4 * (shift > 0) : -4] for shift in range(3)]
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path for path in files if any(form in path.read_bytes() for form in forms)}
