"""`make package`: builds build/code/, the one directory that is deployed for every function.

Flat entry modules, `shared/`, the hashed requirements under `python/`, and bytecode for CPython 3.12: without it
imports take three to four times as long, and in a failover a cold start is on the critical path. The same inputs give
the same tree, byte for byte, so that unchanged functions are not uploaded again.
"""

import argparse
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "build" / "code"
RUNTIME: Final = (3, 12)
MOMENT: Final = 315_532_800 + 86_400
"""1980-01-02: later than the earliest date a zip entry can carry, in every zone."""
MODE: Final = 0o644

UNNEEDED: Final = {
    "numpy": "flatbuffers takes it if it is there; nothing that is called here uses it (54 MB)",
    "numpy.libs": "libraries of numpy",
    "future": "for Python 2",
    "past": "part of future",
    "libfuturize": "part of future",
    "libpasteurize": "part of future",
    "bin": "console scripts; they name this machine's interpreter",
    "share": "manual pages",
}
STAND_INS: Final = {
    "aiohttp": "the SDKs' asynchronous calls, of which there are none here",
    "cryptography": "the SDKs' RSA signatures; functions sign by HMAC",
}
"""Imported by the SDKs when they load and never used here: modules of a few lines take their place (deploy/stand_ins).
They were a quarter of the package, and a quarter of the memory of a function that had just started."""
ONLY_FOR_THEM: Final = (
    *("aiohappyeyeballs", "aiosignal", "attr", "attrs", "frozenlist", "multidict", "propcache", "yarl"),
    *("cffi", "pycparser"),
)
KEPT_METADATA: Final = ("METADATA", "entry_points.txt", "licenses")
"""Of each .dist-info: some packages read their own version while they run. The rest names hashes and installers."""
LATER: Final = (
    "tablestore.client",
    "alibabacloud_ecs20140526.client",
    "alibabacloud_pvtz20180101.client",
    "alibabacloud_slb20140515.client",
    "alibabacloud_ess20220222.client",
    "alibabacloud_vpc20160428.client",
    "alibabacloud_fc20230330.client",
    "fc2.client",
    "pydantic.main",
)
"""What entry modules import only when it is needed: it must load from the package as well."""
IGNORED: Final = ".env*\n.git\n.DS_Store\n"
"""Content of .fcignore. Bytecode is not in it on purpose."""

Install = Callable[[Path, Path], None]


class PackageError(Exception):
    """The package cannot be built; the message says what to do."""


def refuse_other_pythons(
    version: tuple[int, ...] = sys.version_info[:2], implementation: str = sys.implementation.name
) -> None:
    if tuple(version[:2]) != RUNTIME or implementation != "cpython":
        found = f"{implementation} {version[0]}.{version[1]}"
        raise PackageError(
            f"this is {found}; functions run on python3.12, and bytecode and compiled wheels fit one minor version "
            "only. Install CPython 3.12 and run: make clean setup PYTHON=/path/to/python3.12 && make package"
        )
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise PackageError(
            f"this is {sys.platform} on {platform.machine()}; functions run on Linux x86_64, for which compiled wheels "
            "and aliyun-fc2 (source only) must be installed. Build in a Linux container or in CI"
        )


def build(root: Path, target: Path, *, install: Install) -> None:
    """Build beside the target and swap, so that a broken build leaves the last good one in place."""
    if not any((root / "functions").glob("*.py")):
        raise PackageError(f"{root / 'functions'} has no entry module")
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    copy_sources(root, fresh)
    install(root / "requirements" / "runtime.txt", fresh / "python")
    drop_unneeded(fresh / "python")
    stand_in(fresh / "python")
    (fresh / ".fcignore").write_text(IGNORED)
    compile_bytecode(fresh)
    settle(fresh)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def copy_sources(root: Path, target: Path) -> None:
    """Only what is named here can get in: no tests, no emulator, no operator's tools."""
    for entry in sorted((root / "functions").glob("*.py")):
        if entry.name != "__init__.py":
            shutil.copyfile(entry, target / entry.name)
    for source in sorted((root / "shared").rglob("*.py")):
        copied = target / source.relative_to(root)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copied)


def install_requirements(requirements: Path, target: Path) -> None:
    """By uv when the environment has it; by pip when that fails, since only pip reads pip's configuration, where a
    mirror may be named. Hashes are checked either way; aliyun-fc2 is built from its source.

    Raises PackageError with what each of them said.
    """
    uv = Path(sys.executable).with_name("uv")
    by_uv = [str(uv), "pip", "install", "--quiet", "--system-certs", "--python", sys.executable, "--link-mode", "copy"]
    by_pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    said = []
    for command in (by_uv, by_pip) if uv.exists() else (by_pip,):
        done = subprocess.run(
            [*command, "--require-hashes", "--target", str(target), "-r", str(requirements)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return
        said.append(done.stderr.strip())
        shutil.rmtree(target, ignore_errors=True)
    raise PackageError(f"installing {requirements.name} failed:\n" + "\n".join(said))


def drop_unneeded(python: Path) -> None:
    for name in UNNEEDED:
        shutil.rmtree(python / name, ignore_errors=True)
    for leftover in [
        *python.rglob("__pycache__"),
        *python.glob("numpy-*.dist-info"),
        *python.glob("future-*.dist-info"),
    ]:
        shutil.rmtree(leftover, ignore_errors=True)
    for name in (".lock", ".gitignore", "CACHEDIR.TAG"):
        (python / name).unlink(missing_ok=True)
    for info in python.glob("*.dist-info"):
        for item in info.iterdir():
            if item.name in KEPT_METADATA:
                continue
            shutil.rmtree(item) if item.is_dir() else item.unlink()
        metadata = info / "METADATA"
        if metadata.exists():  # the readme below the headers is a megabyte in all
            metadata.write_text(metadata.read_text(encoding="utf-8").partition("\n\n")[0] + "\n", encoding="utf-8")


def stand_in(python: Path) -> None:
    """Put the stand-ins in place, and take away what only the real ones needed."""
    wanted = [name for name in STAND_INS if (python / name).is_dir()]
    gone = (*STAND_INS, *ONLY_FOR_THEM)
    for name in gone:
        shutil.rmtree(python / name, ignore_errors=True)
        for info in python.glob(f"{name}-*.dist-info"):
            shutil.rmtree(info)
    for library in python.glob("_cffi_backend*"):
        library.unlink()
    for name in wanted:
        shutil.copytree(
            ROOT / "deploy" / "stand_ins" / name, python / name, ignore=shutil.ignore_patterns("__pycache__")
        )


def compile_bytecode(target: Path) -> None:
    """Unchecked hashes: the runtime neither compares times nor rewrites. Paths inside read /code/..., as deployed.

    One process with a fixed hash seed: the order of a set in the bytecode must not depend on chance.
    """
    program = (
        "import compileall, py_compile, sys\n"
        "fine = compileall.compile_dir(sys.argv[1], maxlevels=32, force=True, quiet=1, stripdir=sys.argv[1],"
        " prependdir='/code', invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)\n"
        "sys.exit(0 if fine else 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", program, str(target)],
        env={"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PackageError(f"compiling to bytecode failed:\n{done.stdout.strip()}\n{done.stderr.strip()}")


def settle(target: Path) -> None:
    """Fixed times and modes; deepest first, since touching a file changes its directory."""
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_file():
            path.chmod(MODE)
        os.utime(path, (MOMENT, MOMENT))
    os.utime(target, (MOMENT, MOMENT))


def digest(target: Path) -> str:
    """Of names, modes, times and contents: equal exactly when the trees are."""
    total = sha256()
    for path in sorted(target.rglob("*")):
        stat = path.stat()
        total.update(f"{path.relative_to(target)} {stat.st_mode:o} {int(stat.st_mtime)}\n".encode())
        if path.is_file():
            total.update(sha256(path.read_bytes()).digest())
    return total.hexdigest()


def prove_that_it_loads(target: Path, *, later: Sequence[str] = LATER) -> None:
    """Import each entry module as the runtime will: nothing but this directory and the standard library."""
    program = (
        "import importlib, sys\n"
        "code, name = sys.argv[1:]\n"
        "sys.path[:0] = [code, code + '/python']\n"
        "module = importlib.import_module(name)\n"
        "assert '.' in name or callable(module.handler), 'handler is not a function'\n"
        "strangers = sorted({m.__name__ for m in list(sys.modules.values()) if '/site-packages/' in (getattr(m, "
        "'__file__', None) or '')})\n"
        "assert not strangers, f'not from the package: {strangers}'\n"
    )
    for entry in (*entries(target), *later):
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program, str(target), entry],
            env={"LANG": "C.UTF-8"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PackageError(f"{entry} does not load from the package alone:\n{done.stderr.strip()}")


def entries(target: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in target.glob("*.py")))


def zipped_size(target: Path) -> int:
    """As the deployment tool zips it, roughly: once for each function."""
    sink = BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for path in sorted(target.rglob("*")):
            if path.is_file():
                packed.write(path, path.relative_to(target))
    return len(sink.getvalue())


def report(target: Path) -> str:
    def size(path: Path) -> int:
        files = path.rglob("*") if path.is_dir() else (path,)
        return sum(file.stat().st_size for file in files if file.is_file())

    parts = [*(target / "python").iterdir()] if (target / "python").is_dir() else []
    biggest = sorted(((size(path), path.name) for path in parts), reverse=True)[:8]
    versions = [
        f"{found.metadata['Name']} {found.version}"
        for found in sorted(
            importlib.metadata.distributions(path=[str(target / "python")]), key=lambda d: d.name.lower()
        )
    ]
    lines = [
        f"{target}",
        f"  entry modules: {', '.join(entries(target))}",
        f"  unpacked {size(target) / 1e6:.1f} MB, zipped {zipped_size(target) / 1e6:.1f} MB"
        " (uploaded once for each function; 100 MB is the smallest region's limit)",
        "  biggest: " + ", ".join(f"{name} {bytes_ / 1e6:.1f} MB" for bytes_, name in biggest),
        f"  {len(versions)} distributions: {', '.join(versions)}",
        "  left out: " + ", ".join(sorted((*UNNEEDED, *ONLY_FOR_THEM))) + "; stood in for: " + ", ".join(STAND_INS),
        f"  sha256 of the tree: {digest(target)}",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="deploy/package.py", description=__doc__)
    parser.add_argument("--target", type=Path, default=TARGET)
    chosen = parser.parse_args(arguments)
    try:
        refuse_other_pythons()
        build(ROOT, chosen.target.resolve(), install=install_requirements)
        prove_that_it_loads(chosen.target.resolve())
    except PackageError as error:
        sys.stderr.write(f"package: {error}\n")
        return 2
    sys.stdout.write(report(chosen.target.resolve()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
