"""Archive limits, antivirus and YARA rules over real uploads, in real runs."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from processing import checking, checks, health, metrics, queue, runner, traces
from processing.models import Run, RunState
from processing.sandbox import Session
from processing.sandbox.outcome import StepStopped
from processing.scanning import archives, rules
from processing.steps import archive
from tests.processing.scanning.fake_clamd import FakeClamd
from tests.processing.steps.packers import rar, seven_zip
from tests.uploads.test_media_types import WORD, office, packed
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload
from uploads.validation import ARCHIVES, CHECKS, matches

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]


@pytest.fixture
def given(settings: Any) -> Any:
    def given(**changes: Any) -> None:
        settings.UPLOADS = {**settings.UPLOADS, **changes}

    return given


@pytest.fixture
def receive(owner: Any) -> Any:
    def receive(content: bytes, name: str = "a.bin") -> Upload:
        offer = Offer(owner=owner, name=name, declared_type="", door=Door.API)
        return receive_upload(offer, io.BytesIO(content))

    return receive


@pytest.fixture
def clamd(tmp_path: Path, given: Any) -> Iterator[Any]:
    started: list[FakeClamd] = []

    def start(*arguments: Any, **options: Any) -> FakeClamd:
        started.append(FakeClamd(tmp_path / "clamd.ctl", *arguments, **options))
        given(REQUIRED_CHECKS=["antivirus"], CLAMD=started[-1].address)
        return started[-1]

    yield start
    for fake in started:
        fake.close()


@pytest.fixture
def yara(tmp_path: Path, given: Any) -> Any:
    folder = tmp_path / "rules"
    folder.mkdir()
    given(REQUIRED_CHECKS=["yara"], YARA_RULES=str(folder))

    def write(text: str, name: str = "own.yar") -> Path:
        (folder / name).write_text(text)
        return folder

    return write


def work(upload: Upload) -> dict[str, Any]:
    """Work on an upload, and return what its checks answered, or why they did not."""
    Run.objects.update(due_at=timezone.now())
    upload.refresh_from_db()
    assert upload.run_id is not None
    claim = queue.claim(upload.run_id, "worker")
    assert claim is not None
    runner.execute(claim)
    upload.refresh_from_db()
    run = Run.objects.get(pk=upload.run_id)
    return {
        view.record.step: view.output or view.record.error_code
        for view in traces.trace_of(run)
        if view.record.position < 0
    }


def found_in(upload: Upload) -> set[str]:
    return set(upload.findings.values_list("code", flat=True))


# --- Archive limits ----------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    content = b"x"
    for _ in range(depth):
        content = packed({"inner.zip": content})
    return content


def tar_with(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed_tar:
        for name, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            packed_tar.addfile(info)
    return file.getvalue()


BOMB = packed({"word/document.xml": b" " * 30_000_000, **office(f"{WORD}.main+xml")})


@pytest.mark.parametrize(
    ("content", "name", "verdict", "findings"),
    [
        (packed({"a.txt": "x"}), "a.zip", "passed", set()),
        (packed(office(f"{WORD}.main+xml")), "a.docx", "passed", set()),
        (gzip.compress(b"text\n", mtime=0), "a.gz", "passed", set()),
        (BOMB, "a.docx", "quarantined", {"archive_limits"}),
        (gzip.compress(b"\0" * 30_000_000, mtime=0), "a.gz", "quarantined", {"archive_limits"}),
        (nested(8), "a.zip", "quarantined", {"archive_limits"}),
        (packed({str(n): "" for n in range(10_001)}), "a.zip", "quarantined", {"archive_limits"}),
        (packed({"../../etc/cron.d/x": "x"}), "a.zip", "passed", {"unsafe_member"}),
        (tar_with(("a", tarfile.SYMTYPE)), "a.tar", "passed", {"unsafe_member"}),
        (tar_with(("a", tarfile.CHRTYPE)), "a.tar", "passed", {"unsafe_member"}),
        (packed({"a": "x" * 5000})[:-30], "a.zip", "passed", {"container_damaged"}),
    ],
)
def test_an_archive_is_read_to_its_end_or_to_a_limit(receive, content, name, verdict, findings):
    upload = receive(content, name)
    assert (upload.verdict, upload.held) == ("pending", True)
    made = work(upload)
    assert made["archive_limits"]["findings"] is not None
    assert (upload.verdict, found_in(upload)) == (verdict, findings)
    assert upload.held is (verdict != "passed")


def test_a_sandbox_that_is_missing_is_no_verdict(receive, monkeypatch):
    def unavailable(*_: Any, **__: Any) -> None:
        raise StepStopped("sandbox_unavailable", "There is none.")

    monkeypatch.setattr(Session, "run", unavailable)
    upload = receive(packed({"a": "x"}), "a.zip")
    assert work(upload) == {"archive_limits": "sandbox_unavailable"}
    assert (upload.verdict, upload.held) == ("not_checked", True)


def test_what_is_required_of_archives_is_what_the_reader_reads():
    mails = {"message/rfc822", "application/mbox"}
    same = {"application/x-gzip"}  # another name, which the intake never gives
    for media_type in set(archive.step.media_types) - mails - same:
        assert matches(media_type, ARCHIVES), media_type
    for media_type in ("text/plain", "image/png", "application/vnd.ms-excel"):
        assert not matches(media_type, CHECKS["archive_limits"]), media_type


def test_every_end_of_the_reader_has_its_meaning():
    from processing.steps.archive.limits import REASONS

    assert set(REASONS) <= {*archives.CODES, *checking.LASTING}


def test_what_nobody_looked_into_is_not_checked_and_not_tried_again(receive):
    upload = receive(packed({"a.zip": packed({"a": "x"})[:-9]}), "a.zip")
    assert work(upload) == {"archive_limits": "archive_not_read"}
    assert (upload.verdict, upload.held) == ("not_checked", True)
    run = Run.objects.get(upload=upload)
    assert (run.state, run.error_code) == (RunState.FAILED, "not_checked")


@pytest.mark.parametrize(("packer", "name"), [(seven_zip, "a.7z"), (rar, "a.rar")])
@pytest.mark.parametrize("is_there", [True, False])
def test_7z_and_rar_are_checked_where_they_can_be_read(
    receive, monkeypatch, packer, name, is_there
):
    if not is_there:
        original = Session.run

        def run(self: Session, step: str, **rest: Any) -> Any:
            if step == "archive":
                raise StepStopped("archive_reader_missing", "It is not here.")
            return original(self, step, **rest)

        monkeypatch.setattr(Session, "run", run)
    elif health.libarchive() != "ok":
        pytest.skip("There is no libarchive.")
    upload = receive(packer(("../a", b"x")), name)
    made = work(upload)
    if is_there:
        assert made["archive_limits"]["findings"] == ["unsafe_member"]
        assert upload.verdict == "passed"
    else:
        assert made == {"archive_limits": "archive_reader_missing"}
        assert (upload.verdict, upload.held) == ("not_checked", True)


# --- Antivirus ---------------------------------------------------------------------------------


def test_a_clean_file_passes_and_the_trace_says_by_which_signatures(receive, clamd):
    fake = clamd()
    upload = receive(b"harmless\n")
    made = work(upload)["antivirus"]
    assert fake.streamed == [b"harmless\n"]
    assert (upload.verdict, upload.held) == ("passed", False)
    assert (made["scanner"], made["signatures"]) == ("ClamAV 1.4.6", 27890)
    assert made["signatures_age_days"] is not None


def test_what_the_scanner_finds_is_quarantined_and_its_name_stays_in_the_trace(receive, clamd):
    clamd(b"stream: Eicar-Signature FOUND\0")
    upload = receive(b"bad\n")
    assert work(upload)["antivirus"]["signature"] == "Eicar-Signature"
    assert (upload.verdict, found_in(upload)) == ("quarantined", {"malware"})


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"INSTREAM size limit exceeded. ERROR\0", "scanner_limit"),
        (b"stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND\0", "scanner_limit"),
        (b"nonsense\0", "scanner_garbled"),
        (b"", "scanner_lost"),
    ],
)
def test_no_clear_answer_is_no_pass_and_is_asked_for_again(receive, clamd, answer, code):
    clamd(answer)
    upload = receive(b"file\n")
    assert work(upload) == {"antivirus": code}
    assert (upload.verdict, upload.held, upload.state) == ("not_checked", True, "queued")


def test_a_scanner_that_is_down_is_no_pass(receive, given):
    given(REQUIRED_CHECKS=["antivirus"], CLAMD="unix:/nowhere")
    upload = receive(b"file\n")
    assert work(upload) == {"antivirus": "scanner_down"}
    assert (upload.verdict, upload.held) == ("not_checked", True)


def test_what_clamd_would_pass_over_in_silence_is_not_sent(receive, clamd, given):
    fake = clamd()
    given(CLAMD_MAX_BYTES=3)
    assert work(receive(b"four")) == {"antivirus": "scanner_limit"}
    given(
        REQUIRED_CHECKS=["archive_limits", "antivirus"],
        CLAMD_MAX_BYTES=10**6,
        CLAMD_MAX_UNPACKED_BYTES=3,
    )
    assert work(receive(packed({"a": "four"}), "a.zip"))["antivirus"] == "scanner_limit"
    assert fake.streamed == []


# --- YARA rules --------------------------------------------------------------------------------

RULE = 'rule needle { strings: $a = "a needle" condition: $a }'


def test_rules_are_matched_and_named_in_the_trace(receive, yara):
    yara(RULE)
    clean, bad = receive(b"hay\n"), receive(b"hay and a needle\n")
    assert work(clean)["yara"]["findings"] == []
    assert work(bad)["yara"]["rules"] == ["own:needle"]
    assert (clean.verdict, bad.verdict, found_in(bad)) == ("passed", "quarantined", {"rule_match"})


def test_rules_are_compiled_once_for_each_state_of_their_folder(yara):
    folder = yara(RULE)
    first = rules.rules_in(folder)
    assert rules.rules_in(folder) is first
    yara("rule other { condition: false }", "other.yara")
    assert rules.rules_in(folder) is not first


@pytest.mark.parametrize(
    "text", ["rule {", 'include "/etc/passwd"', "rule a { condition: unheard_of }", "\x00"]
)
def test_broken_rules_are_no_pass(receive, yara, text):
    folder = yara(text)
    upload = receive(b"file\n")
    assert work(upload) == {"yara": "rules_broken"}
    assert (upload.verdict, upload.held) == ("not_checked", True)
    assert [message.id for message in checks.check_rules()] == ["processing.E003"]
    with pytest.raises(rules.RulesBroken):
        rules.rules_in(folder)


def test_an_empty_or_missing_folder_is_no_pass(receive, yara, given, tmp_path):
    assert work(receive(b"file\n")) == {"yara": "rules_broken"}
    given(YARA_RULES=str(tmp_path / "nowhere"))
    assert work(receive(b"file\n")) == {"yara": "rules_broken"}


def test_files_beyond_the_limit_are_not_matched(receive, yara, given):
    yara(RULE)
    given(YARA_MAX_BYTES=3)
    assert work(receive(b"four")) == {"yara": "rules_limit"}


def test_sound_rules_let_the_system_start(yara):
    yara(RULE)
    assert checks.check_rules() == []


def test_a_zip_bomb_meets_the_limits_before_the_scanner(receive, clamd, given):
    fake = clamd()
    given(REQUIRED_CHECKS=["antivirus", "archive_limits"])
    upload = receive(packed({"a": b"\0" * 30_000_000}), "a.zip")
    made = work(upload)
    assert list(made) == ["archive_limits", "antivirus"]
    assert made["archive_limits"]["reason"] == "archive_ratio"
    assert fake.streamed == []
    assert made["antivirus"] == "scanner_limit"
    assert upload.verdict == "quarantined"
    assert zipfile.is_zipfile(io.BytesIO(packed({"a": "x"})))


# --- What the operator sees --------------------------------------------------------------------


def aged(days: float) -> bytes:
    made = timezone.now() - timedelta(days=days)
    return f"ClamAV 1.4.6/27890/{made:%a %b %d %H:%M:%S %Y}\0".encode()


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (aged(1), "ok"),
        (aged(30), "degraded"),
        (b"ClamAV 1.4.6\0", "ok"),
        (b"nonsense\0", "degraded"),
    ],
    ids=["fresh", "old", "no date", "nonsense"],  # not the time, which differs between workers
)
def test_health_shows_the_scanner_and_whether_its_signatures_are_old(clamd, version, expected):
    clamd(version=version)
    assert health.antivirus().health == expected


def test_health_says_what_is_not_set_up_and_what_is_down(given, yara):
    assert health.yara().health == "degraded"
    given(CLAMD="unix:/nowhere", YARA_RULES="")
    assert health.antivirus().health == "degraded"
    assert health.yara().health == "not_installed"
    given(CLAMD="")
    assert health.antivirus().health == "not_installed"


def test_metrics_show_verdicts_and_the_age_of_signatures(receive, clamd):
    clamd(version=aged(2))
    receive(b"file\n")
    shown = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in metrics.collect()
        for sample in metric.samples
    }
    assert shown["strongroom_uploads_by_verdict", "pending"] == 1
    assert shown["strongroom_scanner_signature_age_seconds",] == pytest.approx(172_800, rel=0.1)
