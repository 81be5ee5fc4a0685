# A game that keeps a diary: one line in `starts` for each start, in `lines` for each line of its console, in `ends` for each orderly end.
read -r run </proc/sys/kernel/random/uuid
end() {
    [ "${SLOW:-0}" = 0 ] || busybox sleep "$SLOW"
    echo "$run" >>ends
    exit 0
}
trap end TERM
echo "$run ${WORD:-none}" >>starts
echo "ready $run"
count=0
while :; do
    read -r line || {
        busybox sleep 0.2
        continue
    }
    echo "$run $line" >>lines
    count=$((count + 1))
    echo "$count $line"
    case $line in
        quit) end ;;
        crash*) exit 3 ;;
        leave*) exit 0 ;;
    esac
done
