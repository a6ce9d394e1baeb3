"""The plugin's surface: what the hub calls. The work itself is in invoice.py, which knows nothing of
the hub and is tested without it."""

import json

from componentize_py_types import Err
from invoice import invoice
from wit_world import WitWorld as World
from wit_world.imports.records import Output, Verdict_Drop, Verdict_Emit, Verdict_Reject
from wit_world.imports.types import Problem_InvalidConfig, Problem_InvalidEvent

config = {}


class WitWorld(World):
    def configure(self, text):
        """Once per instance: the step's `config`, as JSON."""
        global config
        given = json.loads(text) or {}
        for name in given:
            if name != "currency":
                raise Err(Problem_InvalidConfig(f"/{name} is not known"))
        config = given

    def transform(self, batch):
        """One verdict per event, in the same order."""
        return [one(event) for event in batch]


def one(event):
    kind, value = invoice(event.data, config)
    if kind == "drop":
        return Verdict_Drop(value)
    if kind == "reject":
        return Verdict_Reject(Problem_InvalidEvent(value))
    data = json.dumps(value, ensure_ascii=False).encode()
    # What is None is inherited from the event.
    return Verdict_Emit([
        Output(
            target=None,
            id=None,
            source=None,
            type="invoice.due",
            subject=None,
            time=None,
            datacontenttype=None,
            dataschema=None,
            extensions=[],
            data=data,
        )
    ])
