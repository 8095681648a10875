"""POST /api/v1/query: placeholder until the next commit."""
from .access import not_found


class Queries:
    def __init__(self, app):
        self.app = app

    def answer(self, who, request):
        return not_found()
