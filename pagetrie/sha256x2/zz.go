package sha256x2

func ScratchOff() { wide = false }
