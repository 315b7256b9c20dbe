"""The HTTP service of model files (`softreg serve`, `pip install 'softreg[serve]'`).

`application` is the ASGI application, `server` runs it with uvicorn. A new path is a case of `Application` and an entry
of `openapi`; the page of a model is that of `softreg.export`.
"""

from __future__ import annotations

__all__: list[str] = []
