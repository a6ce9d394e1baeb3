// Package sandbar is the hub's side of a plugin: wit/transform.wit, world transformer, in Go's words.
// It needs nothing but the standard library. Copy it as it is.
package sandbar

// Event is a CloudEvents 1.0 event. An attribute that it does not have is empty.
type Event struct {
	ID              string
	Source          string
	Type            string
	Subject         string
	Time            string // RFC 3339
	DataContentType string
	DataSchema      string
	Extensions      map[string]string
	Data            []byte // the payload; empty when there is none
}

// Output is an event that the plugin gives out. What is left empty is inherited from the event; an
// optional attribute set to Removed is left out.
type Output struct {
	Target          string // one of the route's targets; empty is the first
	ID              string
	Source          string
	Type            string
	Subject         string
	Time            string
	DataContentType string
	DataSchema      string
	Extensions      map[string]string // set over the inherited ones, one by one
	Data            []byte            // nil is inherited
}

// Removed as an attribute of an Output leaves the attribute out instead of inheriting it.
const Removed = "\x00"

// Verdict is what the plugin says of one event; made by Emit, Drop, Reject and Retry.
type Verdict struct {
	kind    verdictKind
	outputs []Output
	problem ProblemKind
	reason  string
}

type verdictKind uint8

const (
	emit verdictKind = iota
	drop
	reject
	retry
)

// Emit gives out these events, in this order.
func Emit(outputs ...Output) Verdict { return Verdict{kind: emit, outputs: outputs} }

// Drop leaves the event out on purpose; it is counted under this reason.
func Drop(reason string) Verdict { return Verdict{kind: drop, reason: reason} }

// Reject makes the event a dead letter.
func Reject(problem *Problem) Verdict {
	return Verdict{kind: reject, problem: problem.Kind, reason: problem.Reason}
}

// Retry has the hub call again later; later events of the same key wait.
func Retry(reason string) Verdict { return Verdict{kind: retry, reason: reason} }

// Problem is why a plugin refuses its configuration or an event.
type Problem struct {
	Kind   ProblemKind
	Reason string
}

// ProblemKind tells who has to do something about a Problem.
type ProblemKind uint8

// The cases of the WIT's problem.
const (
	InvalidConfig ProblemKind = iota
	InvalidEvent
	Other
)

func (problem *Problem) Error() string { return problem.Reason }

// Level is how much a log line matters.
type Level uint32

// The levels of log lines.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// Plugin is what the hub calls.
type Plugin interface {
	// Configure is called once per instance, before anything else, with the step's config as JSON.
	Configure(config string) *Problem
	// Transform is called with each event.
	Transform(event *Event) Verdict
}

var registered Plugin

// Register is called in an init function: a plugin has no main.
func Register(plugin Plugin) { registered = plugin }
