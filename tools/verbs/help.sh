# Lists the verbs.
cat <<'TEXT'
usage: ./hongyan VERB [options]        (most verbs explain their options with --help)

Run it
  up        build what is needed and start everything in one process: --data DIR, --port P, --listen ADDR,
            --demo, --tls-cert FILE, --tls-key FILE, --detach, and every option of the server; with --processes
            every service as a process of its own
  down      stop the server of a data directory [--data DIR]
  status    say whether it runs: version, pid, uptime, url [--data DIR] [--json]
  version   print the version of this checkout

Talk to it
  chat      an interactive client in the terminal
  client    the same for scripts: register, login, send, sync, ... [--profile DIR] [--json]

Look after it
  rpc       list and call the methods of any service: [SERVICE|ADDR [METHOD [--FIELD VALUE ...] [JSON]]]
  counters  what running or crashed processes counted: [PATH] [--filter TEXT] [--metrics]
  backup    write a consistent copy of a data directory
  restore   make a data directory from a backup
  doctor    say what this machine lacks and how to get it

Work on it
  build     build the server and the client, or all: [--all] [--sanitize S] [--check-locks] [--times] [TARGET...]
  install   install base, runtime and rpc for services of other source trees: PREFIX
  test      build everything and run every test: [--long] [--stage NAME]
  new-service  make a service that builds and answers at once: NAME [--in DIR]
  check     the rules of the source tree: layers, registered tests, room READMEs, documents
  fmt       format the source with clang-format: [--check] [FILE...]
  sim       run a simulated cluster with faults from a seed
  bench     measure beside a peer or a physical limit
  fuzz      run the fuzz targets: [TARGET] [--seconds N]
  help      this list
TEXT
