"""An order becomes an invoice. This module knows nothing of WebAssembly: replace it by your mapping."""

import json
import re
from dataclasses import dataclass

# No invoice is over a million millions (and a cent less), so that every sum fits 64 bits.
MAX_NET = 10**14 - 1
PRICE = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,2}))?", re.ASCII)


class InvalidConfig(Exception):
    """The step's config does not fit."""


class InvalidEvent(Exception):
    """The event is not what this mapping expects."""


class NoTaxRate(Exception):
    """Nothing is wrong with the event; the config does not know its country."""


@dataclass
class Config:
    """The step's config: `{"currency": "EUR", "prefix": "INV-", "tax": {"DE": 1900}}`."""

    currency: str
    prefix: str
    tax: dict[str, int]  # hundredths of a percent by country

    @classmethod
    def parse(cls, text: str) -> "Config":
        config = json.loads(text)
        if not isinstance(config, dict) or not isinstance(config.get("currency"), str):
            raise InvalidConfig("/currency: must be a text")
        prefix = config.get("prefix", "INV-")
        if not isinstance(prefix, str):
            raise InvalidConfig("/prefix: must be a text")
        tax = config.get("tax")
        if not isinstance(tax, dict):
            raise InvalidConfig("/tax: must be an object of rates by country")
        for country, rate in tax.items():
            if not is_whole(rate, 0, 10_000):
                raise InvalidConfig(f"/tax/{country}: must be a whole number from 0 to 10000")
        return cls(config["currency"], prefix, {country: int(rate) for country, rate in tax.items()})


@dataclass
class Invoice:
    number: str
    country: str
    data: bytes


@dataclass
class Skip:
    reason: str


def invoice(data: bytes, config: Config) -> Invoice | Skip:
    order = parse(data)
    number = text(order, "", "order")
    status = order.get("status")
    if status not in ("open", "paid", "cancelled"):
        raise InvalidEvent("/status: must be open, paid or cancelled")
    if status == "cancelled":
        return Skip("cancelled")

    customer = order.get("customer")
    name = text(customer, "/customer", "name")
    email = optional_text(customer, "/customer", "email")
    address = customer.get("address")
    country = text(address, "/customer/address", "country")
    city = optional_text(address, "/customer/address", "city")
    if country not in config.tax:
        raise NoTaxRate(f"no tax rate for {country}")
    rate = config.tax[country]

    lines = order.get("lines")
    if not isinstance(lines, list):
        raise InvalidEvent("/lines: must be a list")
    if not lines:
        return Skip("nothing to invoice")
    invoiced = []
    net = 0
    for index, line in enumerate(lines):
        invoiced.append(invoice_line(line, f"/lines/{index}"))
        net += invoiced[-1]["amount"]
        if net > MAX_NET:
            raise InvalidEvent(f"/lines: the sum is over {MAX_NET} cents")
    tax = (net * rate + 5_000) // 10_000  # half up

    return Invoice(
        number=config.prefix + number,
        country=country,
        data=canonical(
            {
                "currency": config.currency,
                "customer": present({"city": city, "country": country, "email": email, "name": name}),
                "invoice": config.prefix + number,
                "lines": invoiced,
                "net": net,
                "note": optional_text(order, "", "note"),
                "order": number,
                "paid": status == "paid",
                "tax": tax,
                "tax_rate": rate,
                "total": net + tax,
            }
        ),
    )


def invoice_line(line: object, at: str) -> dict:
    sku = text(line, at, "sku")
    title = optional_text(line, at, "title")
    quantity = line.get("quantity")
    if not is_whole(quantity, 1, 1_000_000):
        raise InvalidEvent(f"{at}/quantity: must be a whole number from 1 to 1000000")
    unit_price = cents(line.get("price"), f"{at}/price")
    amount = int(quantity) * unit_price
    return present(
        {"amount": amount, "quantity": int(quantity), "sku": sku, "title": title, "unit_price": unit_price}
    )


def cents(price: object, at: str) -> int:
    """`"34.9"` is 3490. Never by way of a float: 0.1 + 0.2 is not 0.3 there."""
    match = PRICE.fullmatch(price) if isinstance(price, str) else None
    if match is None:
        raise InvalidEvent(f"{at}: must be an amount like 12.50")
    whole, fraction = match.groups()
    return int(whole) * 100 + int((fraction or "").ljust(2, "0"))


def parse(data: bytes) -> dict:
    try:
        order = json.loads(data.decode(), parse_constant=no_constant)
    except (ValueError, RecursionError):
        order = None
    if not isinstance(order, dict):
        raise InvalidEvent("the data is no JSON object")
    return order


def no_constant(word: str):
    """Python's reader takes NaN and Infinity, which are not JSON."""
    raise ValueError(word)


def text(parent: object, at: str, key: str) -> str:
    value = parent.get(key) if isinstance(parent, dict) else None
    if not isinstance(value, str) or value == "":
        raise InvalidEvent(f"{at}/{key}: must be a text, not empty")
    return value


def optional_text(parent: dict, at: str, key: str) -> str | None:
    value = parent.get(key)
    if value is not None and not isinstance(value, str):
        raise InvalidEvent(f"{at}/{key}: must be a text")
    return value


def is_whole(value: object, least: int, most: int) -> bool:
    """By value: 2.0 is 2. To Python True is 1; to JSON it is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return least <= value <= most and value == int(value)


def present(fields: dict) -> dict:
    return {key: value for key, value in fields.items() if value is not None}


def canonical(value: dict) -> bytes:
    """Keys sorted, no white space, nothing escaped that need not be."""
    return json.dumps(present(value), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
