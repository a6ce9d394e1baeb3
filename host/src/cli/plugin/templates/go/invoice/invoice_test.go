package invoice

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

func config(t *testing.T) *Config {
	t.Helper()
	config, err := ReadConfig([]byte("null"))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestVectors(t *testing.T) {
	text, err := os.ReadFile("../vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name         string
		Order        json.RawMessage
		Invoice      any
		Drop, Reject string
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, vector := range vectors {
		t.Run(vector.Name, func(t *testing.T) {
			data, err := FromOrder(vector.Order, config(t))
			if err == nil {
				var got any
				if json.Unmarshal(data, &got); !reflect.DeepEqual(got, vector.Invoice) {
					t.Errorf("got %s, want %v", data, vector.Invoice)
				}
				return
			}
			want := error(Nothing(vector.Drop))
			if _, dropped := err.(Nothing); dropped && err != want || !dropped && err.Error() != vector.Reject {
				t.Errorf("got %q", err)
			}
		})
	}
}

func TestWhatIsNoOrderIsRefused(t *testing.T) {
	_, err := FromOrder([]byte("nonsense"), config(t))
	if err == nil || !strings.HasPrefix(err.Error(), "not an order") {
		t.Errorf("got %v", err)
	}
	if _, err := ReadConfig([]byte(`{"x": 1}`)); err == nil {
		t.Error("a config with a field that nobody knows is taken")
	}
}
