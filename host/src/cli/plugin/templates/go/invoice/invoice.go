// Package invoice makes an invoice of an order. It knows nothing of the hub.
package invoice

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Config is the step's config: {"currency": "DKK"}.
type Config struct {
	Currency string `json:"currency"`
}

// ReadConfig takes null for an empty one, and refuses what it does not know.
func ReadConfig(text []byte) (*Config, error) {
	config := &Config{Currency: "EUR"}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(config); err != nil {
		return nil, err
	}
	return config, nil
}

// Nothing says why there is no invoice for an order that is all right.
type Nothing string

func (reason Nothing) Error() string { return string(reason) }

type order struct {
	Number   *string `json:"number"`
	Customer string  `json:"customer"`
	Lines    []struct {
		Pieces *int64 `json:"pieces"`
		Cents  *int64 `json:"cents"`
	} `json:"lines"`
}

type invoice struct {
	Order      string `json:"order"`
	Customer   string `json:"customer"`
	Currency   string `json:"currency"`
	TotalCents int64  `json:"total_cents"`
}

// FromOrder gives the invoice as JSON. Its error is a Nothing, or what is wrong with the order.
func FromOrder(data []byte, config *Config) ([]byte, error) {
	var order order
	if err := json.Unmarshal(data, &order); err != nil {
		return nil, fmt.Errorf("not an order: %w", err)
	}
	if order.Number == nil {
		return nil, errors.New("the order has no number")
	}
	if len(order.Lines) == 0 {
		return nil, Nothing("nothing to invoice")
	}
	var total int64
	for index, line := range order.Lines {
		if line.Pieces == nil || line.Cents == nil {
			return nil, fmt.Errorf("/lines/%d has no pieces or no cents", index)
		}
		total += *line.Pieces * *line.Cents
	}
	return json.Marshal(invoice{*order.Number, order.Customer, config.Currency, total})
}
