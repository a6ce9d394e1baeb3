// An order becomes an invoice.

/** Gives `invoice`, or why there is none: `drop` or `reject`. */
export function invoice(text, config = {}) {
  let order;
  try {
    order = JSON.parse(text);
  } catch (error) {
    return { reject: `not an order: ${error.message}` };
  }
  if (typeof order?.number !== "string") return { reject: "the order has no number" };
  if (!order.lines?.length) return { drop: "nothing to invoice" };
  return {
    invoice: {
      order: order.number,
      customer: order.customer ?? "",
      currency: config.currency ?? "EUR",
      total_cents: order.lines.reduce((sum, line) => sum + line.pieces * line.cents, 0),
    },
  };
}
