package pagetrie
import ("testing";"math/rand/v2";"slices")
type arr []Hash
func (a arr) HashValue(v Value) Hash { return a[v] }
func BenchmarkRoot(b *testing.B){
 const n=1<<20
 e:=make([]Entry,n); for i:=range e { e[i]=Entry{uint64(i),Value(i)} }
 h:=make(arr,n+1<<18); for i:=range h { h[i][0]=byte(i); h[i][1]=byte(i>>8) }
 m:=FromSorted(e); m.Root(h)
 r:=rand.New(rand.NewPCG(1,1))
 b.ReportAllocs()
 var hashes int
 for b.Loop() {
  b.StopTimer()
  d:=make([]Entry,0,1000)
  base:=n+r.IntN(1<<18-1000)
  for i:=range 1000 { d=append(d,Entry{r.Uint64N(n),Value(base+i)}) }
  slices.SortFunc(d,func(a,b Entry)int{ if a.Key<b.Key {return -1}; return 1})
  d=slices.CompactFunc(d,func(a,b Entry)bool{return a.Key==b.Key})
  m=Union(FromSorted(d),m)
  b.StartTimer()
  dd:=digester{hasher:h}
  dd.root(m.root); hashes=dd.calls
 }
 b.ReportMetric(float64(hashes),"sha/op")
}
