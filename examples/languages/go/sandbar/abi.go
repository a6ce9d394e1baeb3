//go:build wasip1

package sandbar

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"unsafe"
)

// The canonical ABI of the component model: what crosses the boundary, as it lies in memory. A pointer
// has 32 bits there, and 64 in Go, so that no type of Go has the shape by itself.

type bytesABI struct{ at, length uint32 }

type optionABI struct {
	present uint32 // one byte and three of padding
	value   bytesABI
}

type pairABI struct{ name, value bytesABI }

type eventABI struct {
	id, source, kind                           bytesABI
	subject, time, datacontenttype, dataschema optionABI
	extensions, data                           bytesABI
}

type outputABI struct {
	target, id, source, kind, subject, time, datacontenttype, dataschema optionABI
	extensions                                                           bytesABI
	data                                                                 optionABI
}

type verdictABI struct {
	kind    uint32
	a, b, c uint32 // emit: outputs; drop and retry: reason; reject: case of problem, reason
}

// What the hub wrote, and what it has yet to read, must not be collected while it does.
var kept []any

func keep[T any](values []T) uint32 {
	kept = append(kept, values)
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(values))))
}

// The collector asks for the time, and the hub answers nothing while it asks for memory or says that it
// has read the answer: it would trap. So Go does not start it by itself; transform does.
func init() { debug.SetGCPercent(-1) }

const (
	collectEvery = 32      // events
	collectAfter = 4 << 20 // bytes
)

var (
	heap               = []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	collectWhen uint64 = collectAfter
)

func collect() {
	if metrics.Read(heap); heap[0].Value.Uint64() < collectWhen {
		return
	}
	runtime.GC()
	metrics.Read(heap)
	collectWhen = 2*heap[0].Value.Uint64() + collectAfter
}

//go:wasmexport cabi_realloc
func reallocate(old, oldSize, align, size uint32) uint32 {
	block := make([]uint64, (size+7)/8) // of 8-byte words for the alignment
	if oldSize > 0 {
		copy(at[byte](keep(block), size), at[byte](old, oldSize))
	}
	return keep(block)
}

//go:wasmexport configure
func configure(text, length uint32) uint32 {
	defer logPanic()
	answer := make([]uint32, 4)
	if problem := registered.Configure(string(at[byte](text, length))); problem != nil {
		reason := textABI(problem.Reason)
		answer = []uint32{1, uint32(problem.Kind), reason.at, reason.length}
	}
	return keep(answer)
}

//go:wasmexport transform
func transform(batch, count uint32) uint32 {
	defer logPanic()
	verdicts := make([]verdictABI, count)
	for index, event := range at[eventABI](batch, count) {
		if index%collectEvery == 0 {
			collect()
		}
		verdicts[index] = registered.Transform(event.read()).abi()
	}
	return keep([]uint32{keep(verdicts), count})
}

//go:wasmexport cabi_post_configure
func configured(uint32) { release() }

//go:wasmexport cabi_post_transform
func transformed(uint32) { release() }

// The hub has read the answer.
func release() {
	clear(kept)
	kept = kept[:0]
}

// A panic ends the instance; the log tells where it was.
func logPanic() {
	if problem := recover(); problem != nil {
		Log(Error, fmt.Sprintf("panic: %v\n%s", problem, debug.Stack()))
		panic(problem)
	}
}

//go:wasmimport sandbar:transform/log@0.1.0 log
func hostLog(level, at, length uint32)

// Log writes a line to the hub's log.
func Log(level Level, message string) {
	text := textABI(message)
	hostLog(uint32(level), text.at, text.length)
}

// The values that lie at an address of the boundary.
func at[T any](address, count uint32) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(uintptr(address))), count)
}

// Without a copy: the collector knows the block that the hub wrote to by any pointer into it.
func (bytes bytesABI) read() []byte { return at[byte](bytes.at, bytes.length) }

func (text bytesABI) text() string {
	return unsafe.String(unsafe.SliceData(text.read()), text.length)
}

// Absent is empty.
func (option optionABI) text() string {
	if option.present&0xff == 0 {
		return ""
	}
	return option.value.text()
}

func (event *eventABI) read() *Event {
	pairs := at[pairABI](event.extensions.at, event.extensions.length)
	extensions := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		extensions[pair.name.text()] = pair.value.text()
	}
	return &Event{
		ID:              event.id.text(),
		Source:          event.source.text(),
		Type:            event.kind.text(),
		Subject:         event.subject.text(),
		Time:            event.time.text(),
		DataContentType: event.datacontenttype.text(),
		DataSchema:      event.dataschema.text(),
		Extensions:      extensions,
		Data:            event.data.read(),
	}
}

func textABI(text string) bytesABI { return bytesToABI([]byte(text)) }

func bytesToABI(bytes []byte) bytesABI {
	return bytesABI{keep(bytes), uint32(len(bytes))}
}

func optionalText(text string) optionABI {
	switch text {
	case "":
		return optionABI{}
	case Removed:
		return optionABI{present: 1}
	default:
		return optionABI{1, textABI(text)}
	}
}

func (verdict Verdict) abi() verdictABI {
	switch verdict.kind {
	case emit:
		outputs := make([]outputABI, len(verdict.outputs))
		for index := range outputs {
			outputs[index] = verdict.outputs[index].abi()
		}
		return verdictABI{kind: uint32(emit), a: keep(outputs), b: uint32(len(outputs))}
	case reject:
		reason := textABI(verdict.reason)
		return verdictABI{uint32(reject), uint32(verdict.problem), reason.at, reason.length}
	default:
		reason := textABI(verdict.reason)
		return verdictABI{kind: uint32(verdict.kind), a: reason.at, b: reason.length}
	}
}

func (output *Output) abi() outputABI {
	pairs := make([]pairABI, 0, len(output.Extensions))
	for name, value := range output.Extensions {
		pairs = append(pairs, pairABI{textABI(name), textABI(value)})
	}
	abi := outputABI{
		target:          optionalText(output.Target),
		id:              optionalText(output.ID),
		source:          optionalText(output.Source),
		kind:            optionalText(output.Type),
		subject:         optionalText(output.Subject),
		time:            optionalText(output.Time),
		datacontenttype: optionalText(output.DataContentType),
		dataschema:      optionalText(output.DataSchema),
		extensions:      bytesABI{keep(pairs), uint32(len(pairs))},
	}
	if output.Data != nil {
		abi.data = optionABI{1, bytesToABI(output.Data)}
	}
	return abi
}
