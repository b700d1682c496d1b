"""Where the set-up keeps its things: all of it below the work tree and ignored by git."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".cache"
ENVIRONMENT: Final = ROOT / ".venv"
MINISTACK_ENVIRONMENT: Final = ROOT / ".venv-ministack"
BENCH_ENVIRONMENT: Final = ROOT / ".venv-bench"
BUILDX: Final = CACHE / "bin" / "buildx"
ACT: Final = ENVIRONMENT / "bin" / "act"
