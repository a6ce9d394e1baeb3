"""The plugin: what the hub calls. `order_invoice` does the work."""

import traceback

import wit_world
from componentize_py_types import Err
from wit_world.imports.log import Level, log
from wit_world.imports.records import Event, Output, Verdict, Verdict_Drop, Verdict_Emit, Verdict_Reject
from wit_world.imports.types import Problem_InvalidConfig, Problem_InvalidEvent, Problem_Other

from order_invoice import Config, InvalidConfig, InvalidEvent, Invoice, NoTaxRate, Skip, invoice


# Of the module, not of the object: each call gets a `WitWorld` of its own.
config: Config


class WitWorld(wit_world.WitWorld):
    def configure(self, text: str) -> None:
        global config
        try:
            config = Config.parse(text)
        except InvalidConfig as problem:
            raise Err(Problem_InvalidConfig(str(problem))) from problem

    def transform(self, batch: list[Event]) -> list[Verdict]:
        return [verdict(event) for event in batch]


def verdict(event: Event) -> Verdict:
    try:
        result = invoice(event.data, config)
    except InvalidEvent as problem:
        return Verdict_Reject(Problem_InvalidEvent(str(problem)))
    except NoTaxRate as problem:
        return Verdict_Reject(Problem_Other(str(problem)))
    except Exception:
        # A mistake in this plugin. The log tells where; the hub parks this event alone.
        log(Level.ERROR, traceback.format_exc())
        raise
    if isinstance(result, Skip):
        return Verdict_Drop(result.reason)
    return Verdict_Emit([issued(result)])


def issued(result: Invoice) -> Output:
    """What is None is inherited from the order's event."""
    return Output(
        target=None,
        id=None,
        source=None,
        type="billing.invoice.issued",
        subject=result.number,
        time=None,
        datacontenttype="application/json",
        dataschema=None,
        extensions=[("country", result.country)],
        data=result.data,
    )
