"""The realtime feeds: placeholder until the next commit."""
from .access import not_found


class Realtime:
    def __init__(self, app):
        self.app = app

    def answer(self, who, request, run_id):
        return not_found()
