#!/bin/sh
# Runs the public TUF client conformance suite against `can-ota tuf` from local checkouts, without downloads.
set -eu

usage() {
  cat <<'END'
usage: scripts/tuf-conformance.sh [SUITE [PYTHON_TUF [SECURESYSTEMSLIB]]] [-- PYTEST-ARGUMENT...]

Runs every case of the TUF client conformance suite. The three arguments are checkouts of
  https://github.com/theupdateframework/tuf-conformance
  https://github.com/theupdateframework/python-tuf           (not needed where pip installed it)
  https://github.com/secure-systems-lab/securesystemslib     (the same)

needed besides: python3 >= 3.10 with cryptography >= 40 and pytest; the command faketime (Debian: faketime)

environment:
  TUF_CONFORMANCE=DIR PYTHON_TUF=DIR SECURESYSTEMSLIB=DIR   the checkouts, instead of arguments
  PYTHON=python3                                            the interpreter
  CAN_OTA_ENTRYPOINT="/abs/node /abs/main.js tuf"           what is tested (default: the sources;
                                                            a built dist starts faster)

exit code: that of pytest; 2 for wrong arguments or missing parts
END
}

fail() {
  echo "tuf-conformance.sh: $1" >&2
  exit 2
}

suite=${TUF_CONFORMANCE-}
tuf=${PYTHON_TUF-}
library=${SECURESYSTEMSLIB-}
position=0
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    -*) usage >&2; exit 2 ;;
  esac
  position=$((position + 1))
  case $position in
    1) suite=$1 ;;
    2) tuf=$1 ;;
    3) library=$1 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

[ -n "$suite" ] || fail "the suite is missing: name its checkout, or set TUF_CONFORMANCE (--help)"
[ -d "$suite/tuf_conformance" ] || fail "$suite is not a checkout of tuf-conformance"
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)

path=$(cd "$suite" && pwd)
for checkout in "$tuf" "$library"; do
  [ -z "$checkout" ] || path=$path:$(cd "$checkout" && pwd)
done
PYTHONPATH=$path${PYTHONPATH+:$PYTHONPATH}
export PYTHONPATH

"$python" - <<'END' || fail "install the missing packages, or name the checkouts (--help)"
import sys
missing = []
for module in ("cryptography", "pytest", "securesystemslib", "tuf.api.metadata"):
    try:
        __import__(module)
    except ImportError as error:
        missing.append(f"{module} ({error})")
if not missing:
    from securesystemslib.signer import _crypto_signer
    if getattr(_crypto_signer, "CRYPTO_IMPORT_ERROR", None):
        import cryptography
        missing.append(f"cryptography >= 40 (this is {cryptography.__version__})")
if missing:
    print("missing: " + ", ".join(missing), file=sys.stderr)
    sys.exit(1)
END
command -v faketime >/dev/null || fail "the command faketime is missing (Debian: apt-get install faketime)"

node=$here/node_modules/.bin/node
[ -x "$node" ] || node=$(command -v node) || fail "node is missing: run npm ci, which installs it"
entrypoint=${CAN_OTA_ENTRYPOINT:-$node $here/src/cli/main.ts tuf}

echo "testing: $entrypoint"
# The suite splits the command at spaces, and the command must begin with an absolute path.
exec "$python" -m pytest -p no:cacheprovider "$suite/tuf_conformance" --entrypoint "$entrypoint" "$@"
