module carbon.local/pause

go 1.21
