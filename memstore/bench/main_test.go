package bench
import ("testing";"context";"os";"fmt";"time")
func TestFull(t *testing.T){ st:=time.Now(); r,err:=Run(context.Background(),Config{Progress:func(s string){fmt.Println(time.Since(st).Round(time.Second),s)}}); if err!=nil{fmt.Println("ERR",err)}
 f,_:=os.Create("/tmp/bp/full.txt"); r.WriteText(f); f.Close(); f,_=os.Create("/tmp/bp/full.svg"); r.WriteSVG(f); f.Close(); f,_=os.Create("/tmp/bp/full.json"); r.WriteJSON(f); f.Close()}
