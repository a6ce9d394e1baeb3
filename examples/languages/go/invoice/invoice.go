// Package invoice makes an invoice of an order. It knows nothing of WebAssembly: replace it by your
// mapping.
package invoice

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// No invoice is over a million millions (and a cent less), so that every sum fits 64 bits.
const maxNet = 100_000_000_000_000 - 1

// Config is the step's config: {"currency": "EUR", "prefix": "INV-", "tax": {"DE": 1900}}.
type Config struct {
	Currency string
	Prefix   string
	Tax      map[string]int64 // hundredths of a percent by country
}

// Invoice has its fields in alphabetical order: encoding/json keeps it, and what comes out is
// canonical JSON.
type Invoice struct {
	Currency string   `json:"currency"`
	Customer Customer `json:"customer"`
	Number   string   `json:"invoice"`
	Lines    []Line   `json:"lines"`
	Net      int64    `json:"net"`
	Note     *string  `json:"note,omitempty"`
	Order    string   `json:"order"`
	Paid     bool     `json:"paid"`
	Tax      int64    `json:"tax"`
	TaxRate  int64    `json:"tax_rate"`
	Total    int64    `json:"total"`
}

// Customer is who pays.
type Customer struct {
	City    *string `json:"city,omitempty"`
	Country string  `json:"country"`
	Email   *string `json:"email,omitempty"`
	Name    string  `json:"name"`
}

// Line is a line of an invoice; amounts are in cents.
type Line struct {
	Amount    int64   `json:"amount"`
	Quantity  int64   `json:"quantity"`
	SKU       string  `json:"sku"`
	Title     *string `json:"title,omitempty"`
	UnitPrice int64   `json:"unit_price"`
}

// Skip says why there is no invoice for an order that is all right.
type Skip string

func (skip Skip) Error() string { return string(skip) }

// NoTaxRate names a country that the config does not know. Nothing is wrong with the order.
type NoTaxRate string

func (country NoTaxRate) Error() string { return "no tax rate for " + string(country) }

// object is a JSON object of which nothing is known yet. A nil one has no fields.
type object map[string]any

// ReadConfig reads the step's config.
func ReadConfig(data []byte) (*Config, error) {
	var given struct {
		Currency *string
		Prefix   *string
		Tax      map[string]float64
	}
	if err := json.Unmarshal(data, &given); err != nil {
		return nil, err
	}
	if given.Currency == nil {
		return nil, errors.New("/currency: must be a text")
	}
	if given.Tax == nil {
		return nil, errors.New("/tax: must be an object of rates by country")
	}
	config := &Config{Currency: *given.Currency, Prefix: "INV-", Tax: make(map[string]int64)}
	if given.Prefix != nil {
		config.Prefix = *given.Prefix
	}
	for country, rate := range given.Tax {
		whole, ok := whole(rate, 0, 10_000)
		if !ok {
			return nil, fmt.Errorf("/tax/%s: must be a whole number from 0 to 10000", country)
		}
		config.Tax[country] = whole
	}
	return config, nil
}

// FromOrder gives a Skip, a NoTaxRate or what is wrong with the order as its error.
func FromOrder(data []byte, config *Config) (*Invoice, error) {
	order := parse(data)
	if order == nil {
		return nil, errors.New("the data is no JSON object")
	}
	number, err := order.text("", "order")
	if err != nil {
		return nil, err
	}
	status := order["status"]
	switch status {
	case "cancelled":
		return nil, Skip("cancelled")
	case "open", "paid":
	default:
		return nil, errors.New("/status: must be open, paid or cancelled")
	}

	customer, err := readCustomer(order.object("customer"))
	if err != nil {
		return nil, err
	}
	rate, ok := config.Tax[customer.Country]
	if !ok {
		return nil, NoTaxRate(customer.Country)
	}

	given, ok := order["lines"].([]any)
	if !ok {
		return nil, errors.New("/lines: must be a list")
	}
	if len(given) == 0 {
		return nil, Skip("nothing to invoice")
	}
	lines := make([]Line, len(given))
	var net int64
	for index := range given {
		if lines[index], err = readLine(given[index], fmt.Sprintf("/lines/%d", index)); err != nil {
			return nil, err
		}
		net += lines[index].Amount
		if net > maxNet {
			return nil, fmt.Errorf("/lines: the sum is over %d cents", int64(maxNet))
		}
	}
	note, err := order.optionalText("", "note")
	if err != nil {
		return nil, err
	}
	tax := (net*rate + 5_000) / 10_000 // half up

	return &Invoice{
		Currency: config.Currency,
		Customer: customer,
		Number:   config.Prefix + number,
		Lines:    lines,
		Net:      net,
		Note:     note,
		Order:    number,
		Paid:     status == "paid",
		Tax:      tax,
		TaxRate:  rate,
		Total:    net + tax,
	}, nil
}

func readCustomer(given object) (customer Customer, err error) {
	if customer.Name, err = given.text("/customer", "name"); err != nil {
		return
	}
	if customer.Email, err = given.optionalText("/customer", "email"); err != nil {
		return
	}
	address := given.object("address")
	if customer.Country, err = address.text("/customer/address", "country"); err != nil {
		return
	}
	customer.City, err = address.optionalText("/customer/address", "city")
	return
}

func readLine(value any, at string) (line Line, err error) {
	given, _ := value.(map[string]any)
	if line.SKU, err = object(given).text(at, "sku"); err != nil {
		return
	}
	if line.Title, err = object(given).optionalText(at, "title"); err != nil {
		return
	}
	var ok bool
	if line.Quantity, ok = whole(given["quantity"], 1, 1_000_000); !ok {
		return line, fmt.Errorf("%s/quantity: must be a whole number from 1 to 1000000", at)
	}
	if line.UnitPrice, ok = cents(given["price"]); !ok {
		return line, fmt.Errorf("%s/price: must be an amount like 12.50", at)
	}
	line.Amount = line.Quantity * line.UnitPrice
	return
}

// "34.9" is 3490. Never by way of a float: 34.95 * 100 is 3495.0000000000005 there.
func cents(price any) (int64, bool) {
	text, _ := price.(string)
	whole, fraction, found := strings.Cut(text, ".")
	if !found {
		fraction = "0"
	}
	if len(whole) < 1 || len(whole) > 10 || len(fraction) < 1 || len(fraction) > 2 {
		return 0, false
	}
	var cents int64
	for _, digit := range []byte(whole + (fraction + "0")[:2]) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		cents = cents*10 + int64(digit-'0')
	}
	return cents, true
}

// A whole number by its value: 2.0 is 2.
func whole(value any, least, most float64) (int64, bool) {
	number, ok := value.(float64)
	if !ok || number != math.Trunc(number) || number < least || number > most {
		return 0, false
	}
	return int64(number), true
}

// nil when the data is no JSON object. encoding/json would take bytes that are no UTF-8.
func parse(data []byte) (order object) {
	if !utf8.Valid(data) || json.Unmarshal(data, &order) != nil {
		return nil
	}
	return order
}

func (parent object) object(key string) object {
	child, _ := parent[key].(map[string]any)
	return child
}

func (parent object) text(at, key string) (string, error) {
	text, _ := parent[key].(string)
	if text == "" {
		return "", fmt.Errorf("%s/%s: must be a text, not empty", at, key)
	}
	return text, nil
}

// nil when there is none, or null.
func (parent object) optionalText(at, key string) (*string, error) {
	switch value := parent[key].(type) {
	case nil:
		return nil, nil
	case string:
		return &value, nil
	default:
		return nil, fmt.Errorf("%s/%s: must be a text", at, key)
	}
}

// JSON gives the invoice as canonical JSON: nothing is escaped that need not be.
func (invoice *Invoice) JSON() []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(invoice); err != nil {
		panic(err) // texts and numbers can always be written
	}
	data := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	// encoding/json escapes the two line separators for JavaScript's sake. A backslash before them is
	// itself written as two, so only an odd one begins an escape.
	return unescapeSeparators(data)
}

func unescapeSeparators(data []byte) []byte {
	if !bytes.Contains(data, []byte(`\u202`)) {
		return data
	}
	out := make([]byte, 0, len(data))
	for index := 0; index < len(data); index++ {
		if data[index] != '\\' {
			out = append(out, data[index])
			continue
		}
		switch rest := data[index:]; {
		case bytes.HasPrefix(rest, []byte(`\u2028`)):
			out, index = append(out, "\u2028"...), index+5
		case bytes.HasPrefix(rest, []byte(`\u2029`)):
			out, index = append(out, "\u2029"...), index+5
		default:
			out, index = append(out, data[index], data[index+1]), index+1
		}
	}
	return out
}
