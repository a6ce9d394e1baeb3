import json
import unittest

from order_invoice import Config, InvalidConfig, InvalidEvent, NoTaxRate, Skip, invoice

CONFIG = Config.parse('{"currency": "EUR", "tax": {"DE": 1900}}')


def order(**changes) -> bytes:
    whole = {
        "order": "A-1",
        "status": "open",
        "customer": {"name": "Zoë", "address": {"country": "DE"}},
        "lines": [{"sku": "LAN-7", "quantity": 3, "price": "0.50"}],
    }
    return json.dumps(whole | changes).encode()


class OrderInvoice(unittest.TestCase):
    def test_an_order_becomes_an_invoice_taxed_half_up(self):
        made = invoice(order(note="soon"), CONFIG)
        self.assertEqual((made.number, made.country), ("INV-A-1", "DE"))
        self.assertEqual(
            made.data.decode(),
            '{"currency":"EUR","customer":{"country":"DE","name":"Zoë"},"invoice":"INV-A-1",'
            '"lines":[{"amount":150,"quantity":3,"sku":"LAN-7","unit_price":50}],'
            '"net":150,"note":"soon","order":"A-1","paid":false,"tax":29,"tax_rate":1900,"total":179}',
        )

    def test_what_is_not_to_be_invoiced_is_skipped(self):
        self.assertEqual(invoice(order(status="cancelled"), CONFIG), Skip("cancelled"))
        self.assertEqual(invoice(order(lines=[]), CONFIG), Skip("nothing to invoice"))

    def test_what_does_not_fit_is_refused_with_the_place(self):
        comma = [{"sku": "a", "quantity": 1, "price": "1,50"}]
        for data, kind, reason in [
            (b"[]", InvalidEvent, "the data is no JSON object"),
            (order(order=""), InvalidEvent, "/order: must be a text, not empty"),
            (order(lines=comma), InvalidEvent, "/lines/0/price: must be an amount like 12.50"),
            (order(customer={"name": "A", "address": {"country": "FR"}}), NoTaxRate, "no tax rate for FR"),
        ]:
            with self.subTest(reason), self.assertRaises(kind) as raised:
                invoice(data, CONFIG)
            self.assertEqual(str(raised.exception), reason)
        with self.assertRaises(InvalidConfig):
            Config.parse('{"currency": "EUR", "tax": {"DE": 19.5}}')


if __name__ == "__main__":
    unittest.main()
