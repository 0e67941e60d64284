#!/usr/bin/env bash
# Makes the Rasa environment: CPython 3.10 with the pinned requirements.
# Usage: bash bot/make_environment.sh FOLDER
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
target="$1"

runs_310() {
  "$1" -c 'import sys, venv; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null
}

# A `python3.10` on PATH can be a pyenv shim that fails, so every one found is tried before it counts.
find_310() {
  local root="${PYENV_ROOT:-$HOME/.pyenv}" candidate
  for candidate in "${RASA_PYTHON:-}" python3.10 "$root"/versions/3.10*/bin/python; do
    if [ -n "$candidate" ] && runs_310 "$candidate"; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

if ! { [ -x "$target/bin/python" ] && runs_310 "$target/bin/python"; }; then
  rm -rf "$target"
  if python=$(find_310); then
    echo "→ Rasa environment: $("$python" --version), about two minutes and 2.7 GB the first time"
    "$python" -m venv "$target"
  elif command -v uv >/dev/null && uv venv -q --managed-python --python 3.10 --seed "$target"; then
    echo "→ Rasa environment: a Python 3.10 managed by uv, about two minutes and 2.7 GB"
  else
    echo "Rasa 3.6 needs Python 3.10 and none was found: install it (for example with pyenv," \
      "\`pyenv install 3.10\`) or name one with RASA_PYTHON=/path/to/python3.10." >&2
    exit 1
  fi
else
  echo "→ Rasa environment: bringing it up to date"
fi

"$target/bin/python" -m pip install -q -r "$here/requirements.txt" -r "$here/requirements-dev.txt"
