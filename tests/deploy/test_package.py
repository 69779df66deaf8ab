"""The package: refused by the wrong Python, the same twice, and nothing in it that does not belong."""

import marshal
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.package import (
    RUNTIME,
    PackageError,
    build,
    copy_sources,
    digest,
    drop_unneeded,
    entries,
    prove_that_it_loads,
    refuse_other_pythons,
    report,
    stand_in,
)
from deploy.s_yaml_check import stale

ROOT = Path(__file__).resolve().parents[2]


def install_nothing_much(requirements: Path, python: Path) -> None:
    """Instead of the registry: one module, and leftovers as installers make them."""
    for folder in ("numpy", "numpy-2.5.5.dist-info", "bin", "future", "pkg/__pycache__", "pkg-1.0.dist-info/licenses"):
        (python / folder).mkdir(parents=True)
    (python / "pkg" / "__init__.py").write_text("WORDS = {'a', 'b', 'c'}\ndef f(x): return x in {'d', 'e', 'f'}\n")
    (python / "pkg" / "__pycache__" / "stale.pyc").write_bytes(b"x")
    info = python / "pkg-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n\nA long readme.\n")
    (info / "RECORD").write_text("/this/machine")
    (info / "licenses" / "LICENSE").write_text("free")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "a path with a space"
    (root / "functions").mkdir(parents=True)
    (root / "functions" / "schedule.py").write_text(
        "import pkg\nfrom shared.domain import ids\n\ndef handler(e, c): ...\n"
    )
    (root / "functions" / "__pycache__").mkdir()
    for folder in ("tests", "emulator", "understudy"):
        (root / folder).mkdir()
        (root / folder / "__init__.py").touch()
    shutil.copytree(ROOT / "shared" / "domain", root / "shared" / "domain")
    (root / "shared" / "__init__.py").touch()
    return root


@pytest.mark.parametrize(
    ("version", "implementation", "named"),
    [((3, 11), "cpython", "cpython 3.11"), ((3, 13), "cpython", "cpython 3.13"), ((3, 12), "pypy", "pypy 3.12")],
)
def test_another_python_is_refused_with_the_remedy(version: tuple[int, int], implementation: str, named: str) -> None:
    with pytest.raises(PackageError, match=f"this is {named}.*make clean setup PYTHON="):
        refuse_other_pythons(version, implementation)


def test_a_checkout_without_functions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="no entry module"):
        build(tmp_path, tmp_path / "build" / "code", install=install_nothing_much)


def test_a_failed_install_leaves_the_last_good_package_in_place(checkout: Path, tmp_path: Path) -> None:
    target = tmp_path / "build" / "code"
    build(checkout, target, install=install_nothing_much)
    before = digest(target)

    def broken(requirements: Path, python: Path) -> None:
        raise PackageError("no network")

    with pytest.raises(PackageError, match="no network"):
        build(checkout, target, install=broken)
    assert digest(target) == before


def test_an_entry_module_that_needs_what_is_not_packed_is_found(checkout: Path, tmp_path: Path) -> None:
    (checkout / "functions" / "broken.py").write_text("import pytest\n\ndef handler(e, c): ...\n")
    build(checkout, tmp_path / "code", install=install_nothing_much)
    with pytest.raises(PackageError, match="broken does not load"):
        prove_that_it_loads(tmp_path / "code", later=())


def test_source_that_does_not_compile_is_found(checkout: Path, tmp_path: Path) -> None:
    (checkout / "functions" / "broken.py").write_text("def handler(e, c:\n")
    with pytest.raises(PackageError, match="compiling"):
        build(checkout, tmp_path / "code", install=install_nothing_much)


def test_two_builds_are_the_same_byte_for_byte_wherever_they_stand(checkout: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "one" / "code", tmp_path / "a longer name" / "code"
    build(checkout, first, install=install_nothing_much)
    build(checkout, second, install=install_nothing_much)
    assert digest(first) == digest(second)
    assert not [p for p in first.rglob("*") if p.is_file() and str(tmp_path).encode() in p.read_bytes()]


def test_nothing_is_packed_that_does_not_belong(checkout: Path, tmp_path: Path) -> None:
    target = tmp_path / "code"
    build(checkout, target, install=install_nothing_much)
    assert {p.name for p in target.iterdir()} == {".fcignore", "__pycache__", "python", "schedule.py", "shared"}
    assert {p.name for p in (target / "python").iterdir()} == {"__pycache__", "pkg", "pkg-1.0.dist-info"} - (
        set() if (target / "python" / "__pycache__").exists() else {"__pycache__"}
    )
    info = target / "python" / "pkg-1.0.dist-info"
    assert {p.name for p in info.iterdir()} == {"METADATA", "licenses"}
    assert "readme" not in (info / "METADATA").read_text()


@pytest.mark.skipif(sys.version_info[:2] != (3, 12), reason="bytecode is for CPython 3.12")
def test_bytecode_is_for_the_runtime_unchecked_and_names_the_deployed_path(checkout: Path, tmp_path: Path) -> None:
    target = tmp_path / "code"
    build(checkout, target, install=install_nothing_much)
    pyc = (target / "__pycache__" / "schedule.cpython-312.pyc").read_bytes()
    assert pyc[4:8] == b"\x01\x00\x00\x00"  # hash-based, not checked against the source
    assert marshal.loads(pyc[16:]).co_filename == "/code/schedule.py"


def test_the_package_loads_alone_and_is_reported(checkout: Path, tmp_path: Path) -> None:
    target = tmp_path / "code"
    build(checkout, target, install=install_nothing_much)
    prove_that_it_loads(target, later=())
    with pytest.raises(PackageError, match="tablestore"):
        prove_that_it_loads(target)
    told = report(target)
    assert "entry modules: schedule" in told
    assert "pkg 1.0" in told
    assert entries(target) == ("schedule",)


def test_the_real_sources_bring_no_tests_and_no_emulator(tmp_path: Path) -> None:
    copy_sources(ROOT, tmp_path)
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {"shared"}
    assert {p.suffix for p in tmp_path.rglob("*") if p.is_file()} == {".py"}


@pytest.fixture
def package() -> Path:
    """The one that stands here. A stale one is no reason to look away: what is tested would not be what is deployed."""
    here = ROOT / "build" / "code"
    if not here.is_dir():
        pytest.skip("nothing is packaged: make package builds it, on CPython 3.12")
    if differs := list(stale(ROOT)):
        remedy = "make package" if sys.version_info[:2] == RUNTIME else "make clean (make package needs CPython 3.12)"
        pytest.fail(f"build/code is of other sources than these; run: {remedy}\n" + "\n".join(differs), pytrace=False)
    return here


def test_the_package_that_stands_here_has_no_tests_and_no_emulator(package: Path) -> None:
    names = {p.name for p in package.iterdir()}
    assert not names & {"tests", "emulator", "understudy", "deploy", "bench"}
    assert not (package / "python" / "numpy").exists()


def test_a_package_of_these_sources_is_not_stale_and_any_difference_makes_it_so(checkout: Path) -> None:
    build(checkout, checkout / "build" / "code", install=install_nothing_much)
    assert not list(stale(checkout))
    (checkout / "functions" / "schedule.py").write_text("def handler(e, c): ...\n")
    (checkout / "functions" / "prune.py").write_text("def handler(e, c): ...\n")
    (checkout / "shared" / "domain" / "ids.py").unlink()
    assert [line.split()[0] for line in stale(checkout)] == [
        "build/code/prune.py",
        "build/code/schedule.py",
        "build/code/shared/domain/ids.py",
    ]


def test_dropping_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    drop_unneeded(tmp_path)


def test_what_is_stood_in_for_loads_like_the_real_one_and_says_so_when_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "aiohttp").mkdir()
    (tmp_path / "cryptography").mkdir()
    (tmp_path / "aiohttp" / "real.py").write_text("")
    (tmp_path / "yarl").mkdir()
    stand_in(tmp_path)
    program = """
import aiohttp, sys
from aiohttp import ClientTimeout
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key
try:
    raise OSError
except aiohttp.ClientError:
    raise AssertionError
except OSError:
    pass
for use in (ClientTimeout, aiohttp.TCPConnector, padding.PKCS1v15, hashes.SHA256, load_pem_private_key):
    try:
        use(1)
    except Exception as error:
        assert "left out of this package" in str(error), error
    else:
        raise AssertionError(use)
"""
    done = subprocess.run([sys.executable, "-S", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "yarl").exists()
    assert not (tmp_path / "aiohttp" / "real.py").exists()
