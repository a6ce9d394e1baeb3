// An order becomes an invoice.

export interface Config {
  currency?: string;
}

interface Order {
  number?: string;
  customer?: string;
  lines?: { pieces: number; cents: number }[];
}

export interface Invoice {
  order: string;
  customer: string;
  currency: string;
  total_cents: number;
}

/** The invoice, or why there is none. */
export type Outcome = { invoice: Invoice } | { drop: string } | { reject: string };

export function invoice(text: string, config: Config = {}): Outcome {
  let order: Order | null;
  try {
    order = JSON.parse(text);
  } catch (error) {
    return { reject: `not an order: ${(error as Error).message}` };
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
