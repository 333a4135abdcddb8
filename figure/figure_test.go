package figure

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var b strings.Builder
	err := WriteTable(&b, []Figure{
		{Work: "reached", Goal: "1", Measured: "2", Met: true},
		{Work: "not", Goal: "10", Measured: "2"},
		{Work: "to decide by", Measured: "3"},
		{Work: "nothing", Goal: "4", Failed: "no memory"},
	})
	const want = `work          goal  measured   
reached       1     2          met
not           10    2          missed
to decide by        3          
nothing       4     no memory  
`
	if err != nil || b.String() != want {
		t.Errorf("%v\n%s", err, b.String())
	}
}
