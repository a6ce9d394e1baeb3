// The plugin: what the hub calls. Package invoice does the work.
package main

import (
	"errors"

	"order-invoice/invoice"
	"order-invoice/sandbar"
)

type plugin struct{ config *invoice.Config }

func (plugin *plugin) Configure(text string) *sandbar.Problem {
	config, err := invoice.ReadConfig([]byte(text))
	if err != nil {
		return &sandbar.Problem{Kind: sandbar.InvalidConfig, Reason: err.Error()}
	}
	plugin.config = config
	return nil
}

func (plugin *plugin) Transform(event *sandbar.Event) sandbar.Verdict {
	made, err := invoice.FromOrder(event.Data, plugin.config)
	var skip invoice.Skip
	var unknown invoice.NoTaxRate
	switch {
	case errors.As(err, &skip):
		return sandbar.Drop(skip.Error())
	case errors.As(err, &unknown):
		return sandbar.Reject(&sandbar.Problem{Kind: sandbar.Other, Reason: unknown.Error()})
	case err != nil:
		return sandbar.Reject(&sandbar.Problem{Kind: sandbar.InvalidEvent, Reason: err.Error()})
	}
	// What is not set is inherited from the order's event.
	return sandbar.Emit(sandbar.Output{
		Type:            "billing.invoice.issued",
		Subject:         made.Number,
		DataContentType: "application/json",
		Extensions:      map[string]string{"country": made.Customer.Country},
		Data:            made.JSON(),
	})
}

func init() { sandbar.Register(&plugin{}) }

// The hub calls the plugin's functions, never main.
func main() {}
