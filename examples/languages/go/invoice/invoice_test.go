package invoice

import (
	"encoding/json"
	"errors"
	"maps"
	"testing"
)

func config(t *testing.T) *Config {
	t.Helper()
	config, err := ReadConfig([]byte(`{"currency": "EUR", "tax": {"DE": 1900}}`))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func order(changes map[string]any) []byte {
	order := map[string]any{
		"order":    "A-1",
		"status":   "open",
		"customer": map[string]any{"name": "Zoë", "address": map[string]any{"country": "DE"}},
		"lines":    []any{map[string]any{"sku": "LAN-7", "quantity": 3, "price": "0.50"}},
	}
	maps.Copy(order, changes)
	data, _ := json.Marshal(order)
	return data
}

func TestAnOrderBecomesAnInvoiceTaxedHalfUp(t *testing.T) {
	made, err := FromOrder(order(map[string]any{"note": "soon \u2028 \\u2028"}), config(t))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"currency":"EUR","customer":{"country":"DE","name":"Zoë"},"invoice":"INV-A-1",` +
		`"lines":[{"amount":150,"quantity":3,"sku":"LAN-7","unit_price":50}],` +
		`"net":150,"note":"soon ` + "\u2028" + ` \\u2028","order":"A-1","paid":false,"tax":29,"tax_rate":1900,"total":179}`
	if got := string(made.JSON()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhatIsNotToBeInvoicedIsSkipped(t *testing.T) {
	for want, changes := range map[Skip]map[string]any{
		"cancelled":          {"status": "cancelled"},
		"nothing to invoice": {"lines": []any{}},
	} {
		if _, err := FromOrder(order(changes), config(t)); err != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestWhatDoesNotFitIsRefusedWithThePlace(t *testing.T) {
	comma := []any{map[string]any{"sku": "a", "quantity": 1, "price": "1,50"}}
	france := map[string]any{"name": "A", "address": map[string]any{"country": "FR"}}
	for want, data := range map[string][]byte{
		"the data is no JSON object":                   []byte("[]"),
		"/order: must be a text, not empty":            order(map[string]any{"order": ""}),
		"/lines/0/price: must be an amount like 12.50": order(map[string]any{"lines": comma}),
	} {
		if _, err := FromOrder(data, config(t)); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	_, err := FromOrder(order(map[string]any{"customer": france}), config(t))
	if !errors.Is(err, NoTaxRate("FR")) {
		t.Errorf("got %v", err)
	}
	if _, err := ReadConfig([]byte(`{"currency": "EUR", "tax": {"DE": 19.5}}`)); err == nil {
		t.Error("a config with half a rate is taken")
	}
}
