# A game that does what its console says, line by line, in this shell. In its folder, `lives` has a line for each start and each orderly end.
# All that it says comes by one stream, for the order of two is nobody's to tell.
exec 2>&1
end() {
    eval "${AT_END:-:}"
    echo end >>lives
    exit 0
}
trap end TERM
echo start >>lives
eval "${AT_START:-echo ready}"
while :; do
    read -r line || {
        busybox sleep 0.1
        continue
    }
    eval "$line"
done
