"""An order becomes an invoice."""

import json


def invoice(data, config):
    """Gives ("invoice", the invoice), or why there is none: ("drop", reason), ("reject", reason)."""
    try:
        order = json.loads(data)
    except ValueError as error:
        return "reject", f"not an order: {error}"
    if not isinstance(order, dict) or not isinstance(order.get("number"), str):
        return "reject", "the order has no number"
    if not order.get("lines"):
        return "drop", "nothing to invoice"
    return "invoice", {
        "order": order["number"],
        "customer": order.get("customer", ""),
        "currency": config.get("currency", "EUR"),
        "total_cents": sum(line["pieces"] * line["cents"] for line in order["lines"]),
    }
