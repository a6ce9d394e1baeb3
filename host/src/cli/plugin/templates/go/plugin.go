// The plugin's surface: what the hub calls. The work itself is in package invoice.
package main

import (
	"errors"

	"{{name}}-plugin/invoice"
	"{{name}}-plugin/sandbar"
)

type plugin struct{ config *invoice.Config }

// Configure is called once per instance, with the step's config as JSON.
func (plugin *plugin) Configure(text string) *sandbar.Problem {
	config, err := invoice.ReadConfig([]byte(text))
	if err != nil {
		return &sandbar.Problem{Kind: sandbar.InvalidConfig, Reason: err.Error()}
	}
	plugin.config = config
	return nil
}

// Transform gives the verdict on one event.
func (plugin *plugin) Transform(event *sandbar.Event) sandbar.Verdict {
	data, err := invoice.FromOrder(event.Data, plugin.config)
	var nothing invoice.Nothing
	switch {
	case errors.As(err, &nothing):
		return sandbar.Drop(nothing.Error())
	case err != nil:
		return sandbar.Reject(&sandbar.Problem{Kind: sandbar.InvalidEvent, Reason: err.Error()})
	}
	// What is not set is inherited from the event.
	return sandbar.Emit(sandbar.Output{Type: "invoice.due", Data: data})
}

func init() { sandbar.Register(&plugin{}) }

// The hub calls the plugin's functions, never main.
func main() {}
