# Sourced by the scripts beside it: one virtual environment for each purpose, made once.
#
#   prepare NAME EXTRA   makes .venv/NAME with the project in it (EXTRA is "" or "[test]") and sets
#                        $python; a second call only compares a stamp.

set -eu
top=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$top"

find_python() {
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.10 python; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 \
            && "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    echo "resync needs Python 3.10 or later, with its venv module; set PYTHON to name one." >&2
    exit 1
}

prepare() {
    folder="$top/.venv/$1"
    python="$folder/bin/python"
    stamp=$(cksum < pyproject.toml)
    if [ "$(cat "$folder/stamp" 2>/dev/null)" != "$stamp" ]; then
        echo "Setting up $folder (once) ..." >&2
        rm -rf "$folder"
        "$(find_python)" -m venv "$folder"
        # The older editable mode puts a path into a .pth file; the newer one slows every start of Python.
        "$python" -m pip --quiet --disable-pip-version-check install \
            --config-settings editable_mode=compat -e ".$2"
        printf '%s\n' "$stamp" > "$folder/stamp"
    fi
}
