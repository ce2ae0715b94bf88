#!/usr/bin/env bash
# Sets the project up from its lock files: .venv (Python) and node_modules (Anvil, Forge, solc, protocol bytecode).
# Does nothing when it is up to date. Called by every make target that needs it.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3.11}
STAMP=.venv/.ready

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

command -v "$PYTHON" >/dev/null || PYTHON=python3
command -v "$PYTHON" >/dev/null ||
  die "Python 3.11 is missing. Install it (Debian: apt install python3.11 python3.11-venv), then run make again."
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$version" = 3.11 ] ||
  die "Python 3.11 is needed, but $PYTHON is $version. Install 3.11 and run: make PYTHON=/path/to/python3.11 ..."
"$PYTHON" -c 'import venv, ensurepip' 2>/dev/null ||
  die "$PYTHON has no venv module. Install it (Debian: apt install python3.11-venv), then run make again."
command -v node >/dev/null ||
  die "Node.js is missing. Install version 20 or later with npm (https://nodejs.org), then run make again."
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || die "Node.js 20 or later is needed, but this is $(node --version). Upgrade it, then run make again."
command -v npm >/dev/null || die "npm is missing. Install it beside Node.js, then run make again."

fresh=$(cat requirements.lock pyproject.toml package-lock.json scripts/setup.sh | cksum)
if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$fresh $PWD" ]; then exit 0; fi

say "Setting up: Node packages"
# Not `npm ci`: it demands every platform's Foundry binaries in the lock; only this machine's are needed.
npm install --no-save --no-audit --no-fund --loglevel=error >&2 || die "npm install failed. Check the connection to the npm registry and run make again."

say "Setting up: Python packages (a minute or two)"
if [ -f "$STAMP" ] || [ ! -x .venv/bin/python ]; then rm -rf .venv; "$PYTHON" -m venv .venv; fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock 2> >(grep -v '^WARNING: Location' >&2) ||
  die "pip install failed. Check the connection to PyPI and run make again."
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ||
  die "installing the project failed; the message above says why."

# The npm wrappers of Anvil and Forge do not pass signals on, so the real binaries are linked into the venv.
case "$(uname -s)" in Linux) os=linux ;; Darwin) os=darwin ;; *) die "only Linux and macOS are supported." ;; esac
case "$(uname -m)" in x86_64) arch=amd64 ;; aarch64 | arm64) arch=arm64 ;; *) die "unknown processor $(uname -m)." ;; esac
for tool in anvil forge cast; do
  binary="$PWD/node_modules/@foundry-rs/$tool-$os-$arch/bin/$tool"
  [ -x "$binary" ] || die "$tool is not in node_modules for $os-$arch. Delete node_modules and run make again."
  ln -sf "$binary" ".venv/bin/$tool"
done
# Ape looks for its compiler where SOLCX_BINARY_PATH says and for Anvil on PATH: tell every Python of this venv.
mkdir -p .venv/solcx
ln -sf "$PWD/scripts/solc.js" .venv/solcx/solc-v0.8.30
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cat > "$site/bulkhead_tools.pth" <<'PTH'
import os, sys; os.environ.setdefault("SOLCX_BINARY_PATH", os.path.join(sys.prefix, "solcx")); os.environ["PATH"] = os.path.join(sys.prefix, "bin") + os.pathsep + os.environ.get("PATH", "")
PTH
echo "$fresh $PWD" > "$STAMP"
say "Set up."
