package main

// What the help of a command tells beside its arguments.

// Help tells how entries are found.
func (findCommand) Help() string {
	return `Without conditions all entries are listed, 50 on a page; what comes next is told at the end of a page.

  endpointcache find sqlite:music.db tracks --key market=DE
  endpointcache find sqlite:music.db --status 4xx --older 7d --sort size --desc
  endpointcache find sqlite:music.db --limit 0 --json | jq .name

KEY can be given to show, diff, rm, expire and touch as it is printed, in bash and zsh. Values in keys that no argument can have are given by --key-json.`
}

// Help tells how an entry is named.
func (showCommand) Help() string { return entryHelp("show") }

// Help tells what is sent.
func (diffCommand) Help() string {
	return entryHelp("diff") + `

The request is made of the entry's key, as far as the store remembers the endpoint's pattern. It has no credentials: --header adds them. Nothing of what the origin answers is stored. The exit code is 4 where there are differences.`
}

// Help tells what the exit code means.
func (whyCommand) Help() string {
	return `  endpointcache why sqlite:music.db GET 'https://api.example.com/v1/tracks/5oGL9?market=DE'

Headers that make a difference, such as Accept or what tells the user, are given by --header. Nothing is sent. The exit code is 3 for a miss.`
}

// Help tells what is a fault.
func (verifyCommand) Help() string {
	return `A fault is a checksum that does not fit, a body that cannot be decompressed, headers that cannot be decoded, or a body that is not of its media type. Entries that are damaged are misses for those who use the cache. Nothing is changed. The exit code is 4 where there are faults.`
}

// Help tells what is selected.
func (c changing) Help() string {
	return `One entry is given by its table and key, or by the URL of its request; many by conditions, or by --all. What would be changed is shown before it is.

  endpointcache rm sqlite:music.db tracks 5oGL9 DE
  endpointcache expire sqlite:music.db --status 4xx --yes
  endpointcache touch sqlite:music.db tracks --key market=DE --for 7d`
}

func entryHelp(command string) string {
	return `The entry is given by its table and key, or by the URL of its request. Values of the key stand in order, or behind the column's name; what is not needed to tell the entry can be left out. Two dashes stand before values that begin with one.

  endpointcache ` + command + ` sqlite:music.db tracks 5oGL9 DE
  endpointcache ` + command + ` sqlite:music.db tracks market=DE id=5oGL9
  endpointcache ` + command + ` sqlite:music.db 'https://api.example.com/v1/tracks/5oGL9?market=DE'`
}
